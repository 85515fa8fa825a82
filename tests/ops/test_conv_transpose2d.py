"""conv_transpose2d: the transpose of conv2d's matrix, both alignments of the deconvolution, derivatives, errors."""

import re

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, use
from autodiff.ops import conv2d, conv_transpose2d, relu

from ..arrays import DTYPES

every_voice = pytest.mark.parametrize("voice", ["reference", "cpu"])


@st.composite
def problems(draw):
    """x, weight, bias of fitting shapes and options."""
    axes = []
    for _ in range(2):
        size, kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 4)), draw(st.integers(1, 3))
        extra = draw(st.integers(0, stride - 1))
        crop = draw(st.integers(0, min(2, (size - 1) * stride + kernel + extra - 1)))
        before = draw(st.integers(0, crop))
        axes.append((size, kernel, stride, (before, crop - before), extra))
    sizes, kernels, stride, padding, output_padding = zip(*axes, strict=True)
    C, K = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = (draw(st.integers(1, 2)), C, *sizes), (C, K, *kernels), (K,)
    options = {"stride": stride, "padding": padding, "output_padding": output_padding}
    return *(rng.standard_normal(shape) for shape in shapes), options


def stamp(x, weight, bias, options):
    """Stamp a copy of the filter for every pixel onto a large sheet, cut out the result, add the bias."""
    (N, C, H, W), (_, K, U, V) = x.shape, weight.shape
    (s, r), ((top, bottom), (left, right)), (more, wider) = options.values()
    sheet = np.zeros((N, K, (H - 1) * s + U + more, (W - 1) * r + V + wider))
    for n, c, k, a, b, u, v in np.ndindex(N, C, K, H, W, U, V):
        sheet[n, k, a * s + u, b * r + v] += x[n, c, a, b] * weight[c, k, u, v]
    return sheet[:, :, top : sheet.shape[2] - bottom, left : sheet.shape[3] - right] + bias[:, None, None]


@every_voice
@given(st.data())
def test_rectify_is_relu(voice, data):
    *arrays, options = data.draw(problems())
    with use(voice):
        results = []
        for layer in (
            lambda *xs: relu(conv_transpose2d(*xs, **options)),
            lambda *xs: conv_transpose2d(*xs, **options, rectify=True),
        ):
            xs = [Tensor(a, requires_grad=True) for a in arrays]
            y = layer(*xs)
            results.append([y.data, *(g.data for g in grad(y, xs, np.ones(y.shape)))])
    for apart, together in zip(*results, strict=True):
        assert_array_equal(apart, together)


def matrix(linear, shape):
    """The matrix of a linear map of images of this shape: a column for every unit image."""
    units = np.eye(int(np.prod(shape))).reshape(-1, *shape)
    return linear(units).data.reshape(len(units), -1).T


@every_voice
@given(st.data())
def test_every_pixel_stamps_a_filter(voice, data):
    *arrays, options = data.draw(problems())
    with use(voice):
        y = conv_transpose2d(*arrays, **options)
    expected = stamp(*arrays, options)
    assert y.shape == expected.shape
    assert_allclose(y.data, expected, atol=1e-12)


@every_voice
@given(st.data())
def test_its_matrix_is_the_transpose_of_that_of_conv2d(voice, data):
    x, weight, _, options = data.draw(problems())
    with use(voice):
        y_shape = conv_transpose2d(x, weight, **options).shape
        deconvolution = matrix(lambda e: conv_transpose2d(e, weight, **options), x.shape[1:])
        del options["output_padding"]  # the size of conv2d's images says it
        convolution = matrix(lambda e: conv2d(e, weight, **options), y_shape[1:])
    assert_allclose(deconvolution, convolution.T, atol=1e-14)


# A 2x2 image of 1, 10, 100, 1000 under the filter 1 ... 9, stride 2: the full result is 5x5.
FULL = np.array(
    [
        [1, 2, 13, 20, 30],
        [4, 5, 46, 50, 60],
        [107, 208, 1379, 2080, 3090],
        [400, 500, 4600, 5000, 6000],
        [700, 800, 7900, 8000, 9000],
    ]
)


@every_voice
@pytest.mark.parametrize(
    "options, rows",
    [
        ({}, slice(None)),
        ({"padding": ((0, 1), (0, 1))}, slice(0, 4)),
        ({"padding": ((1, 0), (1, 0))}, slice(1, 5)),
        ({"padding": 1, "output_padding": 1}, slice(1, 5)),
        ({"padding": 1}, slice(1, 4)),
    ],
)
def test_alignments_of_the_deconvolution(voice, options, rows):
    """The last row and column cropped (TensorFlow's and Keras's "same") or the first (PyTorch's usual options)."""
    x = np.array([[1.0, 10], [100, 1000]]).reshape(1, 1, 2, 2)
    weight = np.arange(1.0, 10).reshape(1, 1, 3, 3)
    with use(voice):
        y = conv_transpose2d(x, weight, stride=2, **options)
    assert_array_equal(y.data[0, 0], FULL[rows, rows])


def test_channels_change_places():
    """weight is (inputs, outputs, kh, kw): with 1x1 kernels a product with the transposed matrix."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((2, 3, 4, 5)), rng.standard_normal((3, 6, 1, 1))
    expected = np.einsum("ncab,ck->nkab", x, weight[:, :, 0, 0])
    assert_allclose(conv_transpose2d(x, weight).data, expected, atol=1e-13)


@every_voice
@given(st.data())
def test_derivatives_through_the_tape(voice, data):
    *arrays, options = data.draw(problems())
    with use(voice):
        check.vjp(lambda *xs: conv_transpose2d(*xs, **options), *arrays)
        check.adjoint(lambda *xs: conv_transpose2d(*xs, **options), *arrays)


@every_voice
def test_second_derivatives(voice):
    rng = np.random.default_rng(0)
    arrays = rng.standard_normal((2, 2, 3, 4)), rng.standard_normal((2, 3, 3, 3)), rng.standard_normal(3)
    with use(voice):
        check.second_order(lambda *xs: conv_transpose2d(*xs, stride=2, padding=((0, 1), (0, 1))) ** 2, *arrays)


@pytest.mark.parametrize("dtype", DTYPES)
def test_dtype_is_kept_through_the_tape(dtype):
    rng = np.random.default_rng(0)
    shapes = (1, 2, 3, 3), (2, 3, 3, 3), (3,)
    xs = [Tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]
    y = conv_transpose2d(*xs, stride=2)
    assert {y.dtype, *(g.dtype for g in grad(y.sum(), xs))} == {np.dtype(dtype)}


def zeros(*shape):
    return np.zeros(shape, np.float32)


IMAGES, FILTERS = zeros(2, 3, 8, 8), zeros(3, 4, 3, 3)
ERRORS = [
    (zeros(2, 3, 8, 8), zeros(1, 4, 3, 3), {}, "images (2, 3, 8, 8) have 3 channels, weight (1, 4, 3, 3) expects 1"),
    (zeros(3, 8, 8), zeros(3, 4, 3, 3), {}, "expected (N, C, H, W) and (inputs, outputs, kh, kw)"),
    (zeros(0, 3, 8, 8), zeros(3, 4, 3, 3), {}, "images (0, 3, 8, 8) are an empty batch"),
    (IMAGES, FILTERS, {"bias": zeros(3)}, "bias (3,), weight (3, 4, 3, 3) expects (4,)"),
    (IMAGES, FILTERS, {"output_padding": 1}, "output_padding (1, 1) must be below stride (1, 1)"),
    (IMAGES, FILTERS, {"stride": (3, 2), "output_padding": 2}, "must be below stride (3, 2)"),
    (IMAGES, FILTERS, {"output_padding": -1}, "output_padding -1, expected at least 0"),
    (zeros(2, 3, 1, 8), zeros(3, 4, 3, 3), {"padding": ((2, 1), 0)}, "crops all of images (2, 3, 1, 8)"),
    (IMAGES, FILTERS, {"padding": "same", "stride": 2}, 'padding "same" needs stride 1'),
]


@pytest.mark.parametrize("x, weight, options, message", ERRORS, ids=lambda e: e if isinstance(e, str) else "")
def test_errors(x, weight, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        conv_transpose2d(x, weight, **options)
    assert str(raised.value).startswith("conv_transpose2d: ")


def test_mixed_dtypes():
    with pytest.raises(TypeError, match="conv_transpose2d: inputs have different dtypes"):
        conv_transpose2d(zeros(1, 1, 2, 2), np.zeros((1, 1, 2, 2)))
