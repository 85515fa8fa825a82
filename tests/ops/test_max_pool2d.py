"""max_pool2d: every voice against a search through each window; ties, NaN, padding; derivatives."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import maximum_filter

from autodiff import Tensor, check, grad, use
from autodiff.ops import relu
from autodiff.ops.max_pool2d import cpu, max_pool2d, reference

from ..arrays import LAYOUTS, laid_out

VOICES = {"reference": reference, "cpu": cpu}
NO_PADDING = ((0, 0), (0, 0))

every_voice = pytest.mark.parametrize("voice", VOICES)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])


@st.composite
def windows(draw):
    """A plane's shape, then size, stride and padding that fit; often 2 x 2, which has its own loop, over vectors."""
    if draw(st.booleans()):
        return (draw(st.integers(2, 9)), draw(st.integers(2, 75))), (2, 2), (2, 2), NO_PADDING  # more than a vector
    axes = []
    for _ in range(2):
        size, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4))
        padding = draw(st.integers(0, size - 1)), draw(st.integers(0, size - 1))
        axes.append((max(1, size - sum(padding)) + draw(st.integers(0, 5)), size, stride, padding))
    return tuple(zip(*axes, strict=True))


@st.composite
def problems(draw, dtype=np.float64):
    """Images full of ties, NaNs and -inf, then size, stride and padding."""
    plane, *options = draw(windows())
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    pixels = np.array([-1, 0, 1, 2, -np.inf, np.inf, np.nan], dtype)
    weights = draw(st.sampled_from([[0.3, 0.2, 0.2, 0.2, 0.06, 0.02, 0.02], [0, 0, 0, 0, 0.9, 0, 0.1]]))
    x = rng.choice(pixels, (draw(st.integers(1, 2)), draw(st.integers(1, 3)), *plane), p=weights)
    return laid_out(x, draw(st.sampled_from(LAYOUTS))), *options


def definition(x, size, stride, padding):
    """Go through the pixels of every window in row-major order; shares no code with what it judges."""
    (N, C, H, W), ((top, bottom), (left, right)) = x.shape, padding
    I, J = 0, 0
    while stride[0] * I - top + size[0] <= H + bottom:
        I += 1
    while stride[1] * J - left + size[1] <= W + right:
        J += 1
    positions, y = np.zeros((N, C, I, J), np.int32), np.zeros((N, C, I, J), x.dtype)
    for n, c, i, j in np.ndindex(N, C, I, J):
        rows = [h for h in range(stride[0] * i - top, stride[0] * i - top + size[0]) if 0 <= h < H]
        columns = [w for w in range(stride[1] * j - left, stride[1] * j - left + size[1]) if 0 <= w < W]
        pixels = [float(x[n, c, h, w]) for h in rows for w in columns]
        nans = [k for k, pixel in enumerate(pixels) if pixel != pixel]
        k = nans[0] if nans else pixels.index(max(pixels))
        y[n, c, i, j], positions[n, c, i, j] = (
            pixels[k],
            rows[k // len(columns)] * W + columns[k % len(columns)],
        )
    return positions, y


def distinct(shape, seed=0):
    """Random pixels at least 0.1 apart: a small step changes no maximum."""
    return np.random.default_rng(seed).permutation(np.arange(np.prod(shape)) * 0.1).reshape(shape)


@every_voice
@every_dtype
@given(st.data())
def test_argmax_is_the_definition(voice, dtype, data):
    x, *options = data.draw(problems(dtype))
    positions, y = VOICES[voice].argmax(x, *options)
    expected_positions, expected_y = definition(x, *options)
    assert_array_equal(y, expected_y)
    assert_array_equal(positions, expected_positions)
    assert (y.dtype, positions.dtype) == (dtype, np.int32)


@every_voice
@every_dtype
@given(st.data())
def test_rectify_is_relu(voice, dtype, data):
    """And so are the gradients."""
    x, size, stride, padding = data.draw(problems(dtype))
    with use(voice):
        results = []
        for rectify in (False, True):
            t = Tensor(x, requires_grad=True)
            y = max_pool2d(t, size, stride=stride, padding=padding, rectify=rectify)
            y = y if rectify else relu(y)
            gy = np.arange(1, 1 + y.data.size, dtype=dtype).reshape(y.shape)
            results.append((y.data, grad(y, t, gy).data))
    for apart, together in zip(*results, strict=True):
        assert_array_equal(apart, together)
    expected = definition(x, size, stride, padding)[1]
    assert_array_equal(results[1][0], np.where(expected < 0, 0, expected))


@every_voice
@every_dtype
@given(st.data())
def test_scatter_is_the_adjoint_of_gather(voice, dtype, data):
    """With small integers both sides are exact, in every dtype and any order of addition."""
    plane, *options = data.draw(windows())
    rng = np.random.default_rng(data.draw(st.integers(0, 2**32 - 1)))
    x = rng.integers(-8, 9, (2, 2, *plane)).astype(dtype)
    positions, y = VOICES[voice].argmax(x, *options)
    layout = data.draw(st.sampled_from(LAYOUTS))
    g = laid_out(rng.integers(-8, 9, y.shape).astype(dtype), layout)
    gathered, scattered = (
        VOICES[voice].gather(laid_out(x, layout), positions),
        VOICES[voice].scatter(g, positions, plane),
    )
    assert_array_equal(gathered, y)
    assert scattered.dtype == dtype and scattered.shape == x.shape and scattered.flags.c_contiguous
    assert np.vdot(x, scattered) == np.vdot(gathered, g)


@every_voice
@given(windows())
def test_gradients(voice, problem):
    plane, size, stride, padding = problem
    x = distinct((2, 2, *plane))
    middle = float(np.median(x)) + 0.02

    def fun(x):
        y = max_pool2d(x, size, stride=stride, padding=padding)
        return y * y * 0.1

    def rectified(x):
        y = max_pool2d(x - middle, size, stride=stride, padding=padding, rectify=True)
        return y * y * 0.1

    with use(voice):
        for function in (fun, rectified):
            check.vjp(function, x)
            check.adjoint(function, x)
            check.second_order(function, x)


@every_voice
def test_third_derivatives(voice):
    """Where x is a maximum, y^3 has the gradient 3 x^2; its square is 9 x^4 and has the second derivative 108 x^2."""
    x = Tensor(distinct((2, 2, 6, 4)), requires_grad=True)
    with use(voice):
        gx = grad((max_pool2d(x, 2) ** 3).sum(), x, create_graph=True)
        first = grad((gx * gx).sum(), x, create_graph=True)
        second = grad(first.sum(), x)
    assert_allclose(second.data, np.where(gx.data != 0, 108 * x.data**2, 0), rtol=1e-12)
    assert (gx.data != 0).sum() == gx.size / 4


@every_voice
def test_the_first_of_equal_pixels_gets_the_gradient(voice):
    x = Tensor(np.array([[1.0, 5, 5], [5, 5, 5], [0, 0, 0]]).reshape(1, 1, 3, 3), requires_grad=True)
    with use(voice):
        gx = grad(max_pool2d(x, 2, stride=1).sum(), x).data[0, 0]
    assert_array_equal(gx, [[0, 2, 0], [1, 1, 0], [0, 0, 0]])


@every_voice
def test_padding_never_wins(voice):
    x = Tensor(np.full((1, 1, 2, 2), -np.inf), requires_grad=True)
    with use(voice):
        y = max_pool2d(x, 2, padding=1)
        gx = grad(y, x, gy=np.array([[[[1.0, 2], [3, 4]]]])).data
    assert_array_equal(y.data, x.data)
    assert_array_equal(gx[0, 0], [[1, 2], [3, 4]])


@every_voice
def test_a_nan_is_the_maximum_of_its_windows(voice):
    x = np.zeros((1, 1, 2, 6))
    x[0, 0, 1, 2] = np.nan
    for size in (2, (2, 3)):
        with use(voice):
            y = max_pool2d(x, size).data[0, 0, 0]
        assert_array_equal(np.isnan(y), np.arange(len(y)) == (1 if size == 2 else 0))


@every_voice
def test_a_remainder_of_rows_and_columns_is_left_out(voice):
    x = np.arange(35.0).reshape(1, 1, 5, 7)
    with use(voice):
        assert_array_equal(max_pool2d(x, 2).data[0, 0], [[8, 10, 12], [22, 24, 26]])
        assert_array_equal(max_pool2d(x, (5, 3), stride=(1, 4)).data[0, 0], [[30, 34]])


@pytest.mark.parametrize("size", [1, 2, 3, (4, 1), (5, 2)])
def test_same_keeps_the_size(size):
    """The pixel of the window's centre, above and left of it for an even window, as in conv2d, from SciPy's filter."""
    x = np.random.default_rng(0).standard_normal((1, 2, 7, 6))
    y = max_pool2d(x, size, stride=1, padding="same").data
    windows = size if isinstance(size, tuple) else (size, size)
    origin = [-((n + 1) % 2) for n in windows]  # SciPy has the extra row of an even window at the top
    expected = maximum_filter(x, (1, 1, *windows), origin=(0, 0, *origin), mode="constant", cval=-np.inf)
    assert_array_equal(y, expected)


@pytest.mark.parametrize("padding", [1, (1, 1), ((1, 1), (1, 1)), (1, (1, 1))])
def test_ways_to_write_the_same_padding(padding):
    x = distinct((1, 1, 4, 4))
    y = max_pool2d(x, (2, 2), stride=(2, 2), padding=padding).data
    assert_array_equal(y, definition(x, (2, 2), (2, 2), ((1, 1), (1, 1)))[1])
    assert_array_equal(y, max_pool2d(x, 2, padding=padding).data)


def test_the_same_bits_at_any_number_of_threads():
    x = np.random.default_rng(0).random((3, 3, 20, 20), np.float32)
    most = numba.get_num_threads()
    results = []
    for threads in (1, most):
        numba.set_num_threads(threads)
        positions, y = cpu.argmax(x, (3, 3), (1, 1), NO_PADDING)
        results.append((positions, y, cpu.scatter(y, positions, (20, 20)), *cpu.argmax(x, (2, 2), (2, 2), NO_PADDING)))
    for one, many in zip(*results, strict=True):
        assert_array_equal(one, many)


def test_dtype_is_kept_through_the_tape():
    x = Tensor(distinct((1, 1, 4, 4)).astype(np.float32), requires_grad=True)
    y = max_pool2d(x, 2)
    assert y.dtype == grad(y.sum(), x).dtype == np.float32
    assert_allclose(y.data, definition(x.data, (2, 2), (2, 2), NO_PADDING)[1])


@pytest.mark.parametrize(
    "shape, size, options, words",
    [
        ((5, 5), 2, {}, ["(5, 5)", "(N, C, H, W)"]),
        ((1, 1, 5, 1), 2, {}, ["(1, 1, 5, 1)", "(2, 2)", "smaller than the window"]),
        ((1, 1, 5, 5), 2, {"padding": 2}, ["((2, 2), (2, 2))", "smaller than the window (2, 2)"]),
        ((1, 1, 5, 5), (2, 3), {"padding": ((0, 2), (0, 0))}, ["((0, 2), (0, 0))"]),
        ((1, 1, 5, 5), 0, {}, ["size"]),
        ((1, 1, 5, 5), 2, {"stride": 0}, ["stride"]),
        ((1, 1, 5, 5), 2, {"stride": (1, 2, 3)}, ["stride", "(1, 2, 3)"]),
        ((1, 1, 5, 5), 2, {"padding": -1}, ["padding", "-1"]),
        ((1, 1, 5, 5), 2, {"padding": "same"}, ['"same" needs stride 1', "(2, 2)"]),
        ((1, 1, 5, 5), 2, {"padding": "valid"}, ["'valid'", 'ints or "same"']),
        ((1, 1, 5, 5), 2, {"padding": (1, 1, 1)}, ["padding", "(1, 1, 1)"]),
    ],
)
def test_errors(shape, size, options, words):
    with pytest.raises(ValueError) as failure:
        max_pool2d(np.zeros(shape), size, **options)
    assert all(word in str(failure.value) for word in ["max_pool2d", *words])


def test_dtypes_must_be_floating():
    with pytest.raises(TypeError, match="max_pool2d"):
        max_pool2d(np.zeros((1, 1, 4, 4), int), 2)
