"""The benchmark: Longshore and its peers, measured in turn on one machine."""
