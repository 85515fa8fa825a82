"""Values that JSON and TOML can hold. Without NumPy, which the command line does not wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, tuples as lists and mappings as dictionaries, all the way down."""
    if getattr(value, "shape", None) == ():  # a scalar of NumPy
        return value.item()
    if isinstance(value, Mapping):
        return {name: plain(x) for name, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    return value
