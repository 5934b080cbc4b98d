"""`asl` as a release that does not exist would have it: python -m tests.integration.releases former|following ARGUMENTS

What those releases are is in tests/chaos/formats.py. All else is this one.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Mapping

from processor.apps.cli import main as asl
from processor.engine.encoding.schemas import SchemaLibrary
from tests.chaos.formats import following, former, release, running

RELEASES: Mapping[str, Callable[[], SchemaLibrary]] = {"former": former, "following": following}


def main(name: str, *arguments: str) -> None:
    sys.argv = ["asl", *arguments]
    with running(release(RELEASES[name]())):
        asl()


if __name__ == "__main__":
    main(*sys.argv[1:])
