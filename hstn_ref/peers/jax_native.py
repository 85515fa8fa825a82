"""JAX's own functions with its own options and units where these differ from ours: for the table of conventions."""

from __future__ import annotations

from jax import lax

from hstn_ref.peers.jax_ops import FORMAT


def strided_same(x, w):
    return lax.conv_general_dilated(x, w, (1, 2), "SAME", dimension_numbers=FORMAT)


def deconvolution(x, w):
    return lax.conv_transpose(x, w, (1, 2), "SAME", dimension_numbers=FORMAT, transpose_kernel=True)


def deconvolution_default(x, w):
    return lax.conv_transpose(x, w.swapaxes(0, 1), (1, 2), "SAME", dimension_numbers=FORMAT)
