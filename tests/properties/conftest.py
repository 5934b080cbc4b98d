"""Profiles of hypothesis: ASL_PROPERTIES=thorough takes minutes, the default stays under one; mutation is for tests run
once per mutant, where all that counts is whether they fail."""

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
settings.load_profile(os.environ.get("ASL_PROPERTIES", "default"))
