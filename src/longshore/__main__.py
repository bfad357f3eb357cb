"""`python -m longshore`."""

from longshore.cli import main

main()
