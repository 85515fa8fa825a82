"""Values that JSON and TOML can hold. Without NumPy, which the command line does not wait for."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any


def plain(value: Any) -> Any:
    """NumPy's numbers as Python's, arrays and tuples as lists, mappings as dictionaries, all the way down."""
    if hasattr(value, "tolist"):
        return value.tolist()
    if isinstance(value, Mapping):
        return {name: plain(x) for name, x in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(x) for x in value]
    return value
