"""How many examples a property gets, where the profile's number is more than it needs."""

from __future__ import annotations

import os

from hypothesis import settings


def half() -> settings:
    profile = settings.get_profile(os.environ.get("ASL_PROPERTIES", "default"))
    return settings(profile, max_examples=profile.max_examples // 2)
