"""`python -m tests.histories`: write the golden histories of this release beside those of the older ones.

The set is named after the version in pyproject.toml. A set that is there is never written again: where the format
changes within a version that was not released, remove its folder by hand, and say so in the CHANGELOG.
"""

from __future__ import annotations

import argparse
import logging
import sys
from importlib.metadata import version
from pathlib import Path

from tests.histories.plays import perform
from tests.histories.sets import CHANGELOG, FOLDER, undeclared, write
from tests.histories.town import Town


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.histories", description=__doc__)
    parser.add_argument("--release", default=version("asl-processor"))
    parser.add_argument("--folder", type=Path, default=FOLDER)
    arguments = parser.parse_args()
    if (arguments.folder / arguments.release).exists():
        print(f"{arguments.release} has its golden histories already; they are never written again", file=sys.stderr)
        return 1
    logging.disable(logging.ERROR)
    town = Town()
    perform(town)
    town.end()
    write(town, arguments.folder, release=arguments.release)
    missing = undeclared(arguments.folder / arguments.release, CHANGELOG.read_text(encoding="utf-8"))
    if missing is not None:
        print(f"CHANGELOG.md needs under Event format: {missing}")
    return 0


if __name__ == "__main__":
    sys.exit(main())
