"""`longshore`, and `python -m longshore`."""

from __future__ import annotations

import gc

# Objects that may come to be before the youngest are looked through for cyclic garbage. A request
# makes dozens, and the imports that follow a hundred thousand, of which nearly all stay.
gc.set_threshold(20_000)


def main() -> None:
    """Run `longshore`."""
    # Not at the top: the processes of a server import this module as well, and have no commands.
    from longshore.cli import app  # noqa: PLC0415

    app(prog_name="longshore")


if __name__ == "__main__":
    main()
