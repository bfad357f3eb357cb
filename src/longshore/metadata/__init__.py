"""The one place of truth: everything that Longshore knows, in SQL."""
