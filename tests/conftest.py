"""Profiles for the whole suite: reproducible by default, HYPOTHESIS_PROFILE=thorough for many random examples."""

import os

from hypothesis import settings

settings.register_profile("default", deadline=None, max_examples=25, derandomize=True)
settings.register_profile("thorough", deadline=None, max_examples=500)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "default"))
