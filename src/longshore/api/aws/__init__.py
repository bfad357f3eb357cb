"""The wire protocols of AWS: a service's published model turned into code at start-up."""
