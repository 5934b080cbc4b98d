"""Prometheus's own checker of rules and metrics, where there is one: $PROMTOOL, or `promtool` on PATH."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

WITHIN_SECONDS = 60


def promtool(*arguments: str | Path, input: str | None = None) -> str:
    """Run it; return what it says. Fails the test where it finds fault, skips it where it is not there."""
    found = os.environ.get("PROMTOOL") or shutil.which("promtool")
    if found is None:
        pytest.skip("no promtool on PATH, nor named by PROMTOOL")
    done = subprocess.run(
        [found, *arguments], input=input, capture_output=True, text=True, check=False, timeout=WITHIN_SECONDS
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout + done.stderr
