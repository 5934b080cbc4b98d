"""The process of `jsonata_sandbox.py`: limits first, then the engine, whose allocator would reserve a gigabyte."""

from __future__ import annotations

import resource
import sys

MEMORY_BYTES = 256 * 1024 * 1024  # of address space, the interpreter of Python included


def main() -> None:
    resource.setrlimit(resource.RLIMIT_AS, (MEMORY_BYTES, MEMORY_BYTES))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    from processor.adapters.jsonata_sandbox import serve

    serve(sys.stdin.buffer, sys.stdout.buffer)


if __name__ == "__main__":
    main()
