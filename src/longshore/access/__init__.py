"""Who is asking: signatures, access keys, registry tokens, and the cryptography they rest on."""
