"""Entry point of the command ``galmorph``."""

from __future__ import annotations

import sys

from galmorph import cli, garbage

__all__ = ["main"]


def main() -> None:
    """Run the command line and exit with its status."""
    garbage.collect_seldom()
    garbage.keep_memory()
    try:
        sys.exit(cli.main(sys.argv[1:]))
    finally:
        garbage.leave_all()


if __name__ == "__main__":
    main()
