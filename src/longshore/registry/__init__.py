"""The rules: plain functions, one module per noun, that know no HTTP."""
