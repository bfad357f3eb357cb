"""Identities that are declared in a YAML file: read strictly, compared with what is, applied."""
