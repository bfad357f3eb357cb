"""OpenID Connect: whom a foreign identity provider vouches for, and whether to believe it."""
