"""Our values and gradients beside those of another framework: the same inputs and weights, in both precisions."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any, NamedTuple

import numpy as np

from autodiff import Tensor, grad, ops
from hstn_ref.errors import UserError
from hstn_ref.verify.cases import Case, ModelCase, functional, model_cases, op_cases
from hstn_ref.verify.running import chosen

DTYPES = ("float64", "float32")

# Relative to the largest number compared. Sums of some hundred products, added up in another order, differ by some
# roundings of 1e-16; what is larger than 1e-10 is another formula. In float32 a rounding is 6e-8, and F.grid_sample,
# which normalises positions and undoes that, moves them by 1e-6 of a pixel. Through a network the roundings of ten
# layers add up, and gradients that nearly cancel (the penalty's) feel them most.
TOLERANCE = {("op", "float64"): 1e-10, ("op", "float32"): 1e-5, ("model", "float64"): 1e-10, ("model", "float32"): 1e-4}


class Peer(NamedTuple):
    """A framework: its ops under our names, and its networks."""

    ops: ModuleType | Any
    networks: ModuleType | Any


@dataclass(frozen=True)
class Row:
    """One array, ours and theirs."""

    case: str
    dtype: str
    what: str  # "value", "gradient 0" of the inputs, "gradient classifier.0.weight" of the parameters
    error: float  # max |ours - theirs| / max |theirs|; the absolute error where theirs is 0
    ulp: float  # the same in units in the last place of max |theirs|
    tolerance: float

    @property
    def passed(self) -> bool:
        return self.error <= self.tolerance


def load(name: str) -> Peer:
    """The framework "torch" or "jax". Raises UserError if it is not installed, ValueError for another name."""
    modules = {"torch": "pytorch", "jax": "jax"}
    if name not in modules:
        raise ValueError(f"unknown framework {name!r}, expected one of {', '.join(modules)}")
    try:
        peer = (importlib.import_module(f"hstn_ref.peers.{modules[name]}{part}") for part in ("_ops", ""))
        return Peer(*peer)
    except ModuleNotFoundError as error:
        if (error.name or "").partition(".")[0] not in (name, f"{name}lib"):
            raise
        raise UserError(f"{name} is not installed: pip install 'hstn-ref[verify]'") from error


def against(
    name: str,
    report: Callable[[str, int, int], None] = lambda text, done, total: None,
    dtypes: Iterable[str] = DTYPES,
    words: Sequence[str] = (),
) -> list[Row]:
    """Compare every op and every network, or those that `running.chosen` finds, with a framework.

    `report` is told (case, how many are done, of how many). Raises as `load`, `chosen` and `compare`.
    """
    peer = load(name)
    cases = [(case, dtype) for case in chosen([*op_cases(), *model_cases()], words) for dtype in dtypes]
    rows = []
    for done, (case, dtype) in enumerate(cases):
        report(f"{case.name}, {dtype}", done, len(cases))
        rows += compare(case, dtype, peer)
    return rows


def compare(case: Case | ModelCase, dtype: str, peer: Peer) -> list[Row]:
    """Values and gradients of one case, ours in the voice in use. Raises ValueError if shapes or dtypes differ."""
    kind = "op" if isinstance(case, Case) else "model"
    pairs = _op_pairs(case, dtype, peer) if isinstance(case, Case) else _model_pairs(case, dtype, peer)
    rows = []
    for what, (ours, theirs) in pairs.items():
        if (ours.shape, ours.dtype) != (theirs.shape, theirs.dtype):
            found = f"ours is {ours.dtype} {ours.shape}, theirs {theirs.dtype} {theirs.shape}"
            raise ValueError(f"{case.name}, {dtype}: {what}: {found}")
        rows.append(Row(case.name, dtype, what, *_errors(ours, theirs), TOLERANCE[kind, dtype]))
    return rows


def ours(case: Case, dtype: str) -> tuple[np.ndarray, np.ndarray, list[np.ndarray]]:
    """Our value of a case, a random u of its shape, and the gradients of <u, value>."""
    xs = [Tensor(a.astype(dtype), requires_grad=True) for a in case.arrays]
    y = case.fun(ops, *xs)
    u = np.random.default_rng(0).standard_normal(y.shape).astype(dtype)
    return y.data, u, [g.data for g in grad(y, xs, gy=u)]


def our_loss(case: ModelCase, dtype: str) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Our training loss of a network, and its gradient to every parameter."""
    model = case.build()
    xs = {name: Tensor(p.data.astype(dtype), requires_grad=True) for name, p in model.named_parameters()}
    loss = functional(model, case.images, case.truth)(*xs.values())
    gradients = grad(loss, list(xs.values()))
    return loss.data, {name: g.data for name, g in zip(xs, gradients, strict=True)}


def their_loss(case: ModelCase, dtype: str, peer: Peer) -> tuple[np.ndarray, dict[str, np.ndarray]]:
    """Theirs, with the same weights."""
    model = case.build()
    weights = {name: array.astype(dtype) for name, array in model.state().items()}
    truth = case.truth.astype(dtype) if case.truth.dtype.kind == "f" else case.truth  # labels stay integers
    return peer.networks.loss_and_gradients(model.name, model.options, weights, case.images.astype(dtype), truth)


Pairs = dict[str, tuple[np.ndarray, np.ndarray]]


def _op_pairs(case: Case, dtype: str, peer: Peer) -> Pairs:
    y, u, gradients = ours(case, dtype)
    arrays = [a.astype(dtype) for a in case.arrays]
    value, theirs = peer.ops.value_and_gradients(lambda *xs: case.fun(peer.ops, *xs), arrays, u)
    pairs = {f"gradient {i}": pair for i, pair in enumerate(zip(gradients, theirs, strict=True))}
    return {"value": (y, value), **pairs}


def _model_pairs(case: ModelCase, dtype: str, peer: Peer) -> Pairs:
    loss, gradients = our_loss(case, dtype)
    value, theirs = their_loss(case, dtype, peer)
    return {"value": (loss, value), **{f"gradient {name}": (g, theirs[name]) for name, g in gradients.items()}}


def _errors(ours: np.ndarray, theirs: np.ndarray) -> tuple[float, float]:
    """The relative error, and the error in units in the last place."""
    size = np.abs(theirs).max(initial=0)
    error = float(np.abs(ours.astype(np.float64) - theirs).max(initial=0))
    if not np.isfinite(error) or not np.isfinite(size):
        return np.inf, np.inf
    return error / float(size or 1), error / float(np.spacing(size if size else ours.dtype.type(1)))
