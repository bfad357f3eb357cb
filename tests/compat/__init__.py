"""Longshore under real clients: each a program of others, on images made on this machine."""
