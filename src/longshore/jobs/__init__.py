"""The queue: work that must not be forgotten, and who does it."""
