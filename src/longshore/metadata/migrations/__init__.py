"""The migrations, run by `longshore.metadata.migrate`."""
