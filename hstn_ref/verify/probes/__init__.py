"""The questions of the table of conventions, each put to every framework at the same few numbers."""

from __future__ import annotations

from .alignment import alignments
from .kinks import kinks, pooling
from .probe import Probe
from .rest import rest
from .sampler import sampler

__all__ = ["Probe", "probes"]


def probes() -> list[Probe]:
    """All questions, in the order of the page."""
    return [*kinks(), *pooling(), *sampler(), *alignments(), *rest()]
