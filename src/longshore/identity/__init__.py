"""Who asks, and what they may do: plain functions, one module for each noun."""
