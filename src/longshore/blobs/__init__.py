"""Dumb bytes, named by digest."""
