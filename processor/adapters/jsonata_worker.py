"""The process of `jsonata_sandbox.py`: limits first, then the engine, whose allocator would reserve a gigabyte."""

from __future__ import annotations

import resource
import sys
from pathlib import Path
from types import ModuleType

MEMORY_BYTES = 256 * 1024 * 1024  # of address space, the interpreter of Python included


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # A bare package in place of ours: what that imports for its users takes two thirds of the start.
    package = ModuleType("processor")
    package.__path__ = [str(Path(__file__).parents[1])]
    sys.modules["processor"] = package
    from processor.adapters.jsonata_sandbox import serve

    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
