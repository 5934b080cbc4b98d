"""What is freed goes back to the system."""

from __future__ import annotations

import os
import platform
import subprocess
import sys

import pytest

pytestmark = pytest.mark.skipif(platform.libc_ver()[0] != "glibc", reason="it is glibc that is set")

_LARGE = """
import ctypes
from processor.adapters.allocator import return_large_blocks

class Info(ctypes.Structure):  # mallinfo2(3)
    _names = "arena ordblks smblks hblks hblkhd usmblks fsmblks uordblks fordblks keepcost"
    _fields_ = [(name, ctypes.c_size_t) for name in _names.split()]

libc = ctypes.CDLL(None)
libc.mallinfo2.restype, libc.malloc.restype = Info, ctypes.c_void_p
libc.free.argtypes = [ctypes.c_void_p]
print(return_large_blocks())
libc.free(libc.malloc(1 << 20))  # this teaches malloc to keep blocks of its size
before = libc.mallinfo2().hblks
assert libc.malloc(1 << 19)
print(libc.mallinfo2().hblks - before)  # blocks that the system will have back
"""


def _run(**environment: str) -> list[str]:
    inherited = {name: value for name, value in os.environ.items() if not name.startswith(("MALLOC_", "GLIBC_"))}
    told = subprocess.run(
        [sys.executable, "-c", _LARGE], env=inherited | environment, check=True, capture_output=True, text=True
    )
    return told.stdout.split()


def test_a_large_block_goes_back_to_the_system_though_one_was_freed_before() -> None:
    assert _run() == ["True", "1"]


@pytest.mark.parametrize("setting", [{"MALLOC_ARENA_MAX": "4"}, {"GLIBC_TUNABLES": "glibc.malloc.arena_max=4"}])
def test_an_allocator_set_in_the_environment_is_left_alone(setting: dict[str, str]) -> None:
    assert _run(**setting) == ["False", "0"]
