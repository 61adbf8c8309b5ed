"""All stages in order: ``python -m scripts.run --config configs/shop.toml``.

What it does is in :mod:`scripts.all_stages`. The processes that stages start import this module anew, as the one that
was run, and need nothing of it: four seconds of imports each.
"""

import sys


def main(argv: list[str] | None = None) -> int:
    """Command line: all stages, or those from one to another, in every pass the shop has."""
    from scripts import all_stages

    return all_stages.run_all(argv)


if __name__ == "__main__":
    sys.exit(main())
