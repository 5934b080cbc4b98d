"""Profiles of hypothesis, and how many examples a property gets where the profile's number is more than it needs.

ASL_PROPERTIES=thorough takes minutes, the default stays under one; mutation is for tests run once per mutant, where all
that counts is whether they fail. They are registered here, not in a conftest.py: whoever imports a property from
another folder's test would otherwise decorate it with hypothesis' own default, which fails what takes 0.2 s.
"""

from __future__ import annotations

import os

from hypothesis import HealthCheck, Phase, settings

COMMON = {
    "deadline": None,
    "suppress_health_check": [HealthCheck.too_slow, HealthCheck.data_too_large, HealthCheck.filter_too_much],
}
settings.register_profile("default", max_examples=250, derandomize=True, **COMMON)  # type: ignore[arg-type]
settings.register_profile("thorough", max_examples=5_000, **COMMON)  # type: ignore[arg-type]
settings.register_profile("mutation", max_examples=10, derandomize=True, phases=[Phase.generate], **COMMON)  # type: ignore[arg-type]
ELSEWHERE = "elsewhere"
settings.register_profile(ELSEWHERE, max_examples=100, derandomize=True, **COMMON)  # type: ignore[arg-type]
"""Of properties in other folders: tests/conftest.py loads it, before any of them is imported."""
NAME = os.environ.get("ASL_PROPERTIES", "default")
PROFILE = settings.get_profile(NAME)


def half() -> settings:
    return settings(PROFILE, max_examples=PROFILE.max_examples // 2)
