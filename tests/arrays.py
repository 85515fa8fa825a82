"""Hypothesis strategies for arrays: random numbers of any shape and dtype in any memory layout."""

import numpy as np
from hypothesis import strategies as st
from hypothesis.extra.numpy import array_shapes, mutually_broadcastable_shapes

LAYOUTS = ("C", "F", "strided", "reversed", "read-only")

DTYPES = (np.float32, np.float64)

# Relative error of a few chained operations: some 20 roundings of 2^-24 and 2^-53.
RTOL = {np.float32: 2e-6, np.float64: 1e-14}


def laid_out(a: np.ndarray, layout: str) -> np.ndarray:
    """The numbers of a in another memory layout."""
    if layout == "F":
        return np.asfortranarray(a)
    if layout == "strided":
        view = np.zeros([2 * n for n in a.shape], a.dtype)[..., *(slice(None, None, 2),) * a.ndim]
        view[...] = a
        return view
    if layout == "reversed":
        backwards = (..., *(slice(None, None, -1),) * a.ndim)
        return a[backwards].copy()[backwards]
    a = a.copy()
    a.setflags(write=layout != "read-only")
    return a


def shapes(min_dims=0, max_dims=3, max_side=4):
    """Shapes, the empty one of a single number and sides of 1 among them."""
    return array_shapes(min_dims=min_dims, max_dims=max_dims, max_side=max_side)


def broadcastable(count=2):
    """As many shapes that broadcast together."""
    return mutually_broadcastable_shapes(num_shapes=count, max_dims=3, max_side=4).map(lambda s: s.input_shapes)


@st.composite
def normal(draw, shape, dtype=np.float64, away=0.0):
    """Normally distributed numbers of this shape (or strategy for one), pushed away from 0 by `away`."""
    shape = draw(shape) if isinstance(shape, st.SearchStrategy) else shape
    a = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal(shape)
    return laid_out(np.asarray(a + np.copysign(away, a), dtype), draw(st.sampled_from(LAYOUTS)))


@st.composite
def normals(draw, count=2, dtype=np.float64, away=0.0):
    """As many such arrays of shapes that broadcast together."""
    return [draw(normal(shape, dtype, away)) for shape in draw(broadcastable(count))]
