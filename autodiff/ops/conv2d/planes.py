"""Before and after the tiles of cpu.py: images to planes, planes to images.

Where a plan has a `tile`, the rows of pixels are transformed on the way as winograd.py says. What does so is inlined:
for small images, handing over all fields of the plan would take a good part of the time of the transform. Rows are
transformed sooner than memory delivers the next ones; so with each tile those of the next channel are asked for.
"""

import numpy as np
from numba import njit

from ...llvm import BITS
from ...simd import FILTERS, prefetch
from ...vectors import copy, copy_vector, interleave, linear_map, transpose
from . import layout, winograd

OF_3_ROWS = winograd.N - 3 + 1  # rows of results of a tile of kernels with 3 rows
ZERO, ONE = np.int64(0), np.int64(1)  # `copy` would be compiled once more for every place of a literal

span = njit(layout.span, cache=True)
transform_pixels = linear_map(winograd.pixels())
transform_gradients_3, transform_gradients_5 = (linear_map(winograd.results(r).T) for r in (3, 5))
transform_products_3, transform_products_5 = (linear_map(winograd.results(r)) for r in (3, 5))


@njit(cache=True)
def scratch(plan, x_shape, y_shape, dtype):
    """Room for the rows of a tile of which some lie outside the image, and for a block's rows of images abreast."""
    wide, high = max(x_shape[3], y_shape[3]) * plan.abreast, plan.tile * plan.rows + winograd.N
    return np.empty(winograd.N * wide, dtype), np.empty(high * wide if plan.abreast > 1 else 0, dtype)


@njit(cache=True)
def gather(planes, rows_, stack, x, x_shape, x_step, plan, n, images, q, rows):
    """Copy the rows that a block reads from x (N, C, H, W) into the planes of their phases, zero outside x."""
    if not plan.tile:
        gather_phases(planes, x, x_shape, x_step, plan, n, images, q, rows)
        return
    N, C, H, W = x_shape
    top = plan.tile * q + plan.low_row
    first, last = max(top, 0), min(top + plan.tile * (rows - 1) + winograd.N, H)
    for c in range(C):
        for i in range(images):
            at = c * plan.down_in * plan.right_in * plan.plane + i * plan.high * plan.pitch
            channel, channel_at = _channel(stack, x, c * H * W, x_step, W, first, last, N, n + i, plan.abreast)
            _gather_tiles(planes, at, rows_, channel, channel_at, H, W * plan.abreast, plan, q, rows)


@njit(cache=True)
def gather_phases(planes, x, x_shape, x_step, plan, n, images, q, rows):
    """The same for a plan without a tile."""
    _, C, H, W = x_shape
    phases = plan.down_in * plan.right_in
    low, high = q + plan.low_row, rows + plan.high - plan.rows
    for c in range(C):
        for i in range(images):
            at = c * phases * plan.plane + i * plan.high * plan.pitch
            x_at = (n + i) * x_step + c * H * W
            for phase in range(phases):
                row_phase, col_phase = phase // plan.right_in, phase % plan.right_in
                to = at + phase * plan.plane
                _gather_rows(planes, to, x, x_at, H, W, plan, low, plan.down_in, row_phase, col_phase, high)


@njit(cache=True)
def _channel(stack, x, at, step, W, first, last, N, n, abreast):
    """The array in which a channel of image n lies, and where.

    Of images abreast, the rows from first to last are copied to the stack, zeros in place of images that are missing.
    """
    if abreast == 1:
        return x, n * step + at
    images, size = min(abreast, N - n * abreast), (last - first) * W
    if images < abreast:
        stack[: size * abreast] = 0
    transpose(stack, ZERO, abreast, x, n * abreast * step + at + first * W, step, images, size)
    return stack, -first * W * abreast


@njit(cache=True)
def _gather_rows(planes, at, x, x_at, H, W, plan, low, down, row_phase, col_phase, high):
    """Copy the rows down (low + i) + row_phase of one channel, i < high, and its columns of phase col_phase."""
    right, zero, least = plan.right_in, x.dtype.type(0), x.dtype.type(-np.inf)
    top, bottom = span(low, down, row_phase, H, high)
    left, stop = span(plan.low_col, right, col_phase, W, min(plan.wide, plan.pitch))
    height, width = bottom - top, stop - left
    _clear(planes, at, at + top * plan.pitch)
    _clear(planes, at + bottom * plan.pitch, at + high * plan.pitch)
    x_at += (down * (top + low) + row_phase) * W + right * (left + plan.low_col) + col_phase
    to = at + top * plan.pitch + left
    if down == right == 1 and width == plan.pitch == W:
        height, width = min(height, 1), height * width  # x and plane are alike: one long row
    copy(planes, to, (plan.pitch, ONE), x, x_at, (down * W, right), (height, width), zero, least)


@njit(cache=True, inline="always")
def _gather_tiles(planes, at, rows_, x, x_at, H, W, plan, q, rows):
    """Transform the rows that `rows` tiles of one channel meet: B x of winograd.py."""
    zero, least = x.dtype.type(0), x.dtype.type(-np.inf)
    left, stop = span(plan.low_col, ONE, ZERO, W, min(plan.wide, plan.pitch))
    for r in range(q, q + rows):
        top = plan.tile * r + plan.low_row
        if plan.abreast == 1:  # otherwise x is a copy, which is in the cache
            prefetch(x, x_at + (H + top) * W, plan.tile * W, False)
        pixels, pixels_at = x, x_at + top * W + left + plan.low_col
        if top < 0 or top + winograd.N > H:
            above = min(max(0, -top), winograd.N)  # rows that lie outside
            inside = max(0, min(winograd.N, H - top) - above)
            _clear(rows_, ZERO, above * W)
            copy(rows_, above * W, (W, ONE), x, pixels_at + above * W, (W, ONE), (inside, stop - left), zero, least)
            _clear(rows_, (above + inside) * W, winograd.N * W)
            pixels, pixels_at = rows_, ZERO
        to = at + (r - q) * plan.pitch + left
        transform_pixels(planes, to, plan.plane, pixels, pixels_at, W, stop - left, zero, least)


@njit(cache=True)
def scatter(y, rows_, stack, planes, bias, floor, plan, n, images, q, rows, K):
    """Copy the results of a block, plus bias, from the planes of their phases into y (N, K, I, J)."""
    if not plan.tile:
        scatter_phases(y, planes, bias, floor, plan, n, images, q, rows, K)
        return
    N, _, I, J = y.shape
    y, abreast, step, W = y.ravel(), plan.abreast, bias.size * I * J, J * plan.abreast
    first, last = plan.tile * q, min(plan.tile * (q + rows), I)
    for i in range(images):
        for k in range(bias.size):
            at, to = k * plan.plane + i * plan.high * plan.pitch, (n + i) * abreast * step + k * I * J
            result, result_at = (y, to) if abreast == 1 else (stack, -first * W)
            _scatter_tiles(result, result_at, rows_, planes, at, K * plan.plane, bias[k], floor, plan, q, rows, I, W)
            if abreast > 1:
                count = min(abreast, N - (n + i) * abreast)
                transpose(y, to + first * J, step, stack, ZERO, abreast, (last - first) * J, count)


@njit(cache=True)
def scatter_phases(y, planes, bias, floor, plan, n, images, q, rows, K):
    """The same for a plan without a tile."""
    _, _, I, J = y.shape
    y, down, right, pitch = y.ravel(), plan.down_out, plan.right_out, plan.pitch
    for i in range(images):
        for k in range(bias.size):
            at, to = k * plan.plane + i * plan.high * pitch, ((n + i) * bias.size + k) * I * J
            for row_phase in range(down):
                height, y_at = min(rows, -((row_phase - I) // down) - q), to + (down * q + row_phase) * J
                from_ = at + row_phase * right * K * plan.plane
                if right == 2:
                    for r in range(height):
                        even, odd = from_ + r * pitch, from_ + K * plan.plane + r * pitch
                        interleave(y, y_at + r * down * J, planes, even, odd, J, bias[k], floor)
                elif down == right == 1 and J == pitch:  # y and plane are alike: one long row
                    copy(y, y_at, (J, ONE), planes, from_, (pitch, ONE), (ONE, height * J), bias[k], floor)
                else:
                    for col_phase in range(right):
                        x_at, shape = from_ + col_phase * K * plan.plane, (height, -((col_phase - J) // right))
                        copy(y, y_at + col_phase, (down * J, right), planes, x_at, (pitch, ONE), shape, bias[k], floor)


@njit(cache=True, inline="always")
def _scatter_tiles(y, to, rows_, planes, at, step, plus, floor, plan, q, rows, I, J):
    """Transform the products of `rows` tiles of one filter back: A of winograd.py."""
    zero, least = y.dtype.type(0), y.dtype.type(-np.inf)
    for r in range(q, q + rows):
        top, from_ = plan.tile * r, at + (r - q) * plan.pitch
        whole = top + plan.tile <= I
        if plan.abreast == 1:
            prefetch(y, to + (I + top) * J, plan.tile * J, True)
        result, result_at = (y, to + top * J) if whole else (rows_, ZERO)
        if plan.tile == OF_3_ROWS:
            transform_products_3(result, result_at, J, planes, from_, step, J, plus, floor)
        else:
            transform_products_5(result, result_at, J, planes, from_, step, J, plus, floor)
        if not whole:
            width = (I - top) * J
            copy(y, to + top * J, (width, ONE), rows_, ZERO, (width, ONE), (ONE, width), zero, least)


@njit(cache=True)
def gather_vectors(vectors, planes, rows_, stack, gy, gy_shape, gy_step, plan, n, images, q, rows, count, lanes):
    """The vectors of gy that cover a block, zero beyond the ends of rows: [phase][filter block][m][filter][lane]."""
    N, K, I, J = gy_shape
    zero, least, pitch, groups = gy.dtype.type(0), gy.dtype.type(-np.inf), plan.pitch, plan.groups.size - 1
    blocks, end = -(-K // FILTERS), ((images - 1) * plan.high + rows) * pitch
    for g in range(groups):
        _clear(planes, g * plan.plane + end, g * plan.plane + end + lanes)  # there may be rows of a larger block
    first, last = plan.tile * q, min(plan.tile * (q + rows), I)
    for k in range(K):
        for i in range(images):
            at = i * plan.high * pitch
            channel, channel_at = _channel(stack, gy, k * I * J, gy_step, J, first, last, N, n + i, plan.abreast)
            if plan.tile:
                _gather_gradients(planes, at, rows_, channel, channel_at, plan, q, rows, I, J * plan.abreast)
            else:
                copy(planes, at, (pitch, ONE), channel, channel_at + q * J, (J, ONE), (rows, J), zero, least)
        for g in range(groups):
            for m in range(count):
                to = (((g * blocks + k // FILTERS) * count + m) * FILTERS + k % FILTERS) * lanes
                copy_vector(vectors, to, planes, g * plan.plane + plan.starts[m], zero, least, BITS)


@njit(cache=True, inline="always")
def _gather_gradients(planes, at, rows_, gy, gy_at, plan, q, rows, I, J):
    """Transform the gradients to the results of `rows` tiles of one filter: A^T gy of winograd.py."""
    zero, least = gy.dtype.type(0), gy.dtype.type(-np.inf)
    for r in range(q, q + rows):
        top, to = plan.tile * r, at + (r - q) * plan.pitch
        whole = top + plan.tile <= I
        if plan.abreast == 1:
            prefetch(gy, gy_at + (I + top) * J, plan.tile * J, False)
        if not whole:
            width = (I - top) * J
            copy(rows_, ZERO, (width, ONE), gy, gy_at + top * J, (width, ONE), (ONE, width), zero, least)
            _clear(rows_, width, plan.tile * J)
        gradient, gradient_at = (gy, gy_at + top * J) if whole else (rows_, ZERO)
        if plan.tile == OF_3_ROWS:
            transform_gradients_3(planes, to, plan.plane, gradient, gradient_at, J, J, zero, least)
        else:
            transform_gradients_5(planes, to, plan.plane, gradient, gradient_at, J, J, zero, least)


@njit(cache=True)
def _clear(x, start, stop):
    for i in range(start, stop):
        x[i] = 0
