"""The properties run by the profile that ASL_PROPERTIES names (see budget.py)."""

from __future__ import annotations

from hypothesis import settings

from tests.properties.budget import NAME

settings.load_profile(NAME)
