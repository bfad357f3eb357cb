"""The registry face: the OCI distribution protocol and Docker Registry v2 below `/v2/`."""
