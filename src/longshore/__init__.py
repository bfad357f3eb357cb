"""Longshore: a self-hosted container registry that speaks Amazon ECR."""
