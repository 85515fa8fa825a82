"""Tensors, the tape and the backward sweep: reverse-mode differentiation.

An op computes y = f(x1, ..., xn) on plain arrays, then records how a gradient flows back:

    record(y, (x1, vjp1), ..., (xn, vjpn))        vjp_i(gy) = (dy/dx_i)^T gy            (1)

where gy = dL/dy for a scalar L. The gradient of a tensor is the sum over the edges that lead to it,

    gx = sum over recorded (y, vjp) with input x of vjp(gy)                             (2)

and the sweep visits the tensors newest first, so that every gradient is complete before it is passed on.

A vjp takes a Tensor and returns a Tensor built from ops. With `create_graph=True` the sweep is itself
recorded, so gradients can be differentiated again, to any order; otherwise nothing is recorded and the
Tensors are thin wrappers. A vjp closes over the inputs of its op, never over the output (y -> vjp -> y would be
a cycle): a graph dies with its last name.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from itertools import count
from typing import TYPE_CHECKING, Any

import numpy as np

from .modes import is_complex_allowed, is_recording, recording

Array = Any  # np.ndarray or cupy.ndarray: the type is the device
Vjp = Callable[["Tensor"], "Tensor"]
Edge = tuple["Tensor", Vjp]

_FLOATING = (np.dtype(np.float32), np.dtype(np.float64))
_clock = count()


class Tensor:
    """An array, its gradient, and the edges to the tensors it was computed from.

    `Tensor(data)` is a constant; with `requires_grad=True` it is a variable, and `backward` of anything computed
    from it adds to `.grad` (a Tensor, None before the first). `.data` and `.grad` may be assigned; a sweep reads the
    data that its inputs have by then, so assign between a backward sweep and the next forward pass, as optimisers do.
    The arithmetic operators, `@`, indexing, `.sum` and so on are attached by `autodiff.ops`.
    """

    __slots__ = ("__weakref__", "data", "edges", "grad", "requires_grad", "shapes", "time")
    __array_priority__ = 1000  # ndarray + Tensor must reach Tensor.__radd__

    data: Array
    grad: Tensor | None

    def __init__(self, data: Any, requires_grad: bool = False):
        self.data = data if type(data) is np.ndarray or _is_array(data) else np.asarray(data)
        if requires_grad and self.data.dtype.kind != "f":
            raise TypeError(f"Tensor: only floating-point data has a gradient, got dtype {self.data.dtype}")
        self.grad = None
        self.requires_grad = requires_grad
        self.edges: tuple[Edge, ...] = ()
        self.shapes: tuple[tuple[int, ...], ...] = ()  # that the inputs had when this was computed from them
        self.time = next(_clock)  # inputs are older than results: a topological order for free

    @property
    def shape(self) -> tuple[int, ...]:
        return self.data.shape

    @property
    def dtype(self) -> np.dtype:
        return self.data.dtype

    @property
    def ndim(self) -> int:
        return self.data.ndim

    @property
    def size(self) -> int:
        return self.data.size

    @property
    def op(self) -> str:
        """The name of the op that made this tensor, "" for a variable or a constant."""
        return self.edges[0][1].__qualname__.partition(".")[0] if self.edges else ""

    def detach(self) -> Tensor:
        """The same data as a constant."""
        return Tensor(self.data)

    def item(self) -> float:
        """The one number of a tensor of size 1."""
        return self.data.item()

    def backward(self, gy: Tensor | Array | None = None, create_graph: bool = False) -> None:
        """Add dL/dx to `x.grad` for every variable x, where L = <self, gy>; gy may be left out for a scalar.

        With `create_graph=True` the gradients are recorded and can be differentiated in turn; `grad` is better suited
        for that, since a recorded gradient in `x.grad` refers to x, a cycle.
        Raises ValueError if gy does not have the shape of this tensor, or if it depends on no variable.
        """
        if not self.requires_grad:
            raise ValueError("backward: the result depends on no variable, or was computed under no_grad()")
        start = _start(self, gy)
        taken = {id(_memory(start.data))}
        with recording(create_graph):
            for x, gx in _sweep(self, start):
                if not x.requires_grad or x.edges:
                    continue
                if x.grad is not None:
                    x.grad = as_tensor(x.grad) + gx
                else:
                    x.grad = gx if create_graph else _own(gx, taken)

    def __reduce__(self):
        """A copy or an unpickled tensor is new, also to the clock. Raises TypeError for the result of an op."""
        if self.edges:
            raise TypeError("a Tensor that an op computed cannot be copied or pickled: do so with .data or .detach()")
        return _made, (type(self), self.data, self.requires_grad, self.grad)

    def __len__(self) -> int:
        return len(self.data)

    def __iter__(self) -> Iterator[Tensor]:
        if self.ndim == 0:
            raise TypeError("a Tensor of shape () holds one number and cannot be iterated")
        return (self[i] for i in range(len(self)))

    def __float__(self) -> float:
        return float(self.data)

    def __array__(self, dtype=None, copy=None) -> np.ndarray:
        if self.requires_grad:
            raise TypeError("this Tensor requires a gradient, which NumPy would lose: use ops, .data or .detach()")
        return np.array(self.data, dtype=dtype, copy=copy)

    def __repr__(self) -> str:
        made = f", op={self.op}" if self.op else ", requires_grad=True" if self.requires_grad else ""
        return f"Tensor({np.array2string(self.data, threshold=20)}, dtype={self.dtype}{made})"

    if TYPE_CHECKING:  # attached by ops/arithmetic.py, ops/reduce.py and ops/shape.py
        T: Tensor
        sum: Callable[..., Tensor]
        mean: Callable[..., Tensor]
        reshape: Callable[..., Tensor]
        transpose: Callable[..., Tensor]

        def __add__(self, y: Any) -> Tensor: ...
        def __sub__(self, y: Any) -> Tensor: ...
        def __mul__(self, y: Any) -> Tensor: ...
        def __truediv__(self, y: Any) -> Tensor: ...
        def __pow__(self, p: float) -> Tensor: ...
        def __matmul__(self, y: Any) -> Tensor: ...
        def __radd__(self, x: Any) -> Tensor: ...
        def __rsub__(self, x: Any) -> Tensor: ...
        def __rmul__(self, x: Any) -> Tensor: ...
        def __rtruediv__(self, x: Any) -> Tensor: ...
        def __rmatmul__(self, x: Any) -> Tensor: ...
        def __neg__(self) -> Tensor: ...
        def __abs__(self) -> Tensor: ...
        def __getitem__(self, index: Any) -> Tensor: ...


def grad(y: Tensor, xs: Tensor | Sequence[Tensor], gy: Tensor | Array | None = None, create_graph: bool = False) -> Any:
    """The gradients of <y, gy> with respect to xs, as Tensors; `.grad` of nothing is touched.

    One Tensor for one x, a tuple for a sequence; zeros for an x that y does not depend on. x may be any tensor
    on the way to y, not only a variable. Raises ValueError for a constant, which leaves no trace on that way.
    """
    wanted = [xs] if isinstance(xs, Tensor) else list(xs)
    for i, x in enumerate(wanted):
        if not x.requires_grad:
            raise ValueError(
                f"grad: x {i}, of shape {x.shape}, is a constant, expected Tensor(..., requires_grad=True)"
            )
    found: dict[Tensor, Tensor | None] = dict.fromkeys(wanted)
    with recording(create_graph):
        for x, gx in _sweep(y, _start(y, gy)):
            if x in found:
                found[x] = gx
    gradients = tuple(Tensor(np.zeros_like(x.data)) if found[x] is None else found[x] for x in wanted)
    return gradients[0] if isinstance(xs, Tensor) else gradients


def record(y: Array, *edges: Edge) -> Tensor:
    """Wrap the array y as a Tensor computed from the inputs named in `edges`: equation (1).

    Edges to inputs that need no gradient are dropped; their vjps are never called.
    """
    out = Tensor(y)
    if is_recording():
        out.edges = tuple(edge for edge in edges if edge[0].requires_grad)
        out.shapes = tuple([x.data.shape for x, _ in out.edges])
        out.requires_grad = bool(out.edges)
    return out


def as_tensor(x: Any, dtype: Any = None) -> Tensor:
    """x itself, an array as a constant, or a number as a constant of `dtype`: 2.0 must not promote float32."""
    if isinstance(x, Tensor):
        return x
    if isinstance(x, (bool, int, float, np.generic)):
        floating = dtype is not None and np.dtype(dtype).kind == "f"
        return Tensor(np.asarray(x, dtype if floating else None))  # beside integers, 2.5 must not become 2
    return Tensor(x)


def check_dtypes(op: str, *tensors: Tensor) -> None:
    """Raise TypeError unless all tensors are float32 or all are float64."""
    if is_complex_allowed():
        return
    found = [t.data.dtype for t in tensors]
    for dtype in found:
        if dtype not in _FLOATING:
            raise TypeError(f"{op}: got an input of dtype {dtype}, expected float32 or float64")
    if found.count(found[0]) != len(found):
        raise TypeError(f"{op}: inputs have different dtypes ({', '.join(map(str, found))}), expected one for all")


def ancestors(y: Tensor) -> list[Tensor]:
    """y and every recorded tensor it was computed from, newest first. Iterative: a graph may be any depth."""
    found, stack = {y}, [y]
    while stack:
        for x, _ in stack.pop().edges:
            if x not in found:
                found.add(x)
                stack.append(x)
    return sorted(found, key=lambda t: t.time, reverse=True)


def _made(kind: type[Tensor], data: Array, requires_grad: bool, gradient: Tensor | None) -> Tensor:
    x = kind.__new__(kind)
    Tensor.__init__(x, data, requires_grad)
    x.grad = gradient
    return x


def first_non_finite(y: Tensor) -> Tensor | None:
    """The oldest tensor on the way to y that holds a NaN or an infinity: where the trouble began."""
    bad = (t for t in reversed(ancestors(y)) if not np.isfinite(t.data).all())
    return next(bad, None)


def _sweep(y: Tensor, gy: Tensor) -> Iterator[tuple[Tensor, Tensor]]:
    """Yield (x, dL/dx) for y and all its ancestors, newest first: equation (2)."""
    pending = {y: gy}
    for t in ancestors(y):
        gt = pending.pop(t)
        yield t, gt
        for (x, vjp), shape in zip(t.edges, t.shapes, strict=True):
            if x.data.shape != shape:  # the vjp reads it as it is now
                raise ValueError(f"{t.op}: an input of shape {shape} has {x.data.shape} now; sweep before you assign")
            gx = vjp(gt)
            if not isinstance(gx, Tensor):
                raise TypeError(f"{t.op}: its vjp returned a {type(gx).__name__}, expected a Tensor")
            if gx.shape != x.shape or gx.dtype != x.dtype:
                raise ValueError(f"{t.op}: its vjp returned {gx.dtype} {gx.shape} for an input of {x.dtype} {x.shape}")
            pending[x] = pending[x] + gx if x in pending else gx


def _own(gx: Tensor, taken: set[int]) -> Tensor:
    """gx, or a copy if its memory cannot be written or is `taken`: by the caller's gy or by another gradient."""
    memory = _memory(gx.data)
    if not getattr(gx.data.flags, "writeable", True) or id(memory) in taken:
        gx = Tensor(gx.data.copy())
    taken.add(id(memory))
    return gx


def _memory(array: Array) -> Array:
    """The array that a view is of, which owns the memory or has it from elsewhere."""
    while isinstance(array.base, type(array)):
        array = array.base
    return array


def _start(y: Tensor, gy: Tensor | Array | None) -> Tensor:
    """The gradient that a sweep starts from."""
    if gy is None:
        if y.size != 1:
            raise ValueError(f"backward: a result of shape {y.shape} is not a scalar and needs an explicit gy")
        return Tensor(np.ones_like(y.data))
    gy = as_tensor(gy, y.dtype)
    if gy.shape != y.shape:
        raise ValueError(f"backward: gy has shape {gy.shape}, the result it belongs to has {y.shape}")
    if gy.dtype != y.dtype:
        raise TypeError(f"backward: gy has dtype {gy.dtype}, the result it belongs to has {y.dtype}")
    return gy


def _is_array(x: Any) -> bool:
    return hasattr(x, "__array_function__") and hasattr(x, "ndim") and not np.isscalar(x)
