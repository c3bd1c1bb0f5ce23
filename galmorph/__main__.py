"""Entry point of the command ``galmorph``."""

from __future__ import annotations

import sys

from galmorph import cli

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    sys.exit(cli.main(sys.argv[1:]))


if __name__ == "__main__":
    main()
