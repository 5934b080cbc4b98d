"""What the C library's allocator does with memory that is freed."""

from __future__ import annotations

import ctypes
import os
from typing import Final

_MMAP_THRESHOLD: Final = -3  # M_MMAP_THRESHOLD of malloc.h
_BLOCK_BYTES: Final = 128 * 1024


def return_large_blocks() -> bool:
    """Have every block of 128 KiB or more given back to the system once it is freed, from now on; return whether the
    C library does so.

    glibc's malloc begins so, but the first large block freed teaches it to keep blocks of that size (mallopt(3),
    "dynamic mmap threshold"), in each thread's arena, between what is in use. A processor reads and writes records
    of any size up to a megabyte in threads of the Kafka client: what it held was 17 MiB, what it kept 85 MiB more
    (decision 0041). Whoever has set the allocator in the environment, or has another C library, is left alone.
    """
    if any(name.startswith("MALLOC_") or name == "GLIBC_TUNABLES" for name in os.environ):
        return False
    mallopt = getattr(ctypes.CDLL(None), "mallopt", None)
    return mallopt is not None and mallopt(_MMAP_THRESHOLD, _BLOCK_BYTES) == 1
