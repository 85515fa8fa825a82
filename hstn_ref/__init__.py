"""The Hierarchical Spatial Transformer Network (Shu, Chen, Xie, Han 2018), written with `autodiff`.

    import hstn_ref

    data = hstn_ref.data.open_data("embedded")
    model = hstn_ref.models.HSTN("small")
    hstn_ref.fit(model, data, epochs=4)

Everything is imported when it is first used.
"""

from __future__ import annotations

import importlib
from typing import Any

__version__ = "0.1.0"
__all__ = ["align", "data", "evaluate", "fit", "flow", "models", "motion"]

# functions at the top level and where they live
_HOME = {"align": "alignment", "fit": "training", "evaluate": "training"}


def __getattr__(name: str) -> Any:
    if name in _HOME:
        return getattr(importlib.import_module(f".{_HOME[name]}", __name__), name)
    if name in __all__:
        return importlib.import_module(f".{name}", __name__)
    raise AttributeError(f"module {__name__!r} has no attribute {name!r}")


def __dir__() -> list[str]:
    return sorted([*globals(), *__all__])
