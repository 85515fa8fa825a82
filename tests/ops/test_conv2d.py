"""conv2d: the reference against its definition, the Numba voice against the reference, derivatives, errors."""

import re

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, use
from autodiff.ops import conv2d, relu
from autodiff.ops.conv2d import cpu, layout, parts, reference
from autodiff.simd import VECTORS

from ..arrays import DTYPES, LAYOUTS, laid_out

VOICES = {"reference": reference, "cpu": cpu}

# Relative to the largest number of the result: sums of up to 1000 products, rounded to 2^-24 and 2^-53.
TOLERANCE = {np.float32: 2e-5, np.float64: 1e-13}

every_voice = pytest.mark.parametrize("voice", VOICES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)


@st.composite
def problems(draw, dtype=np.float64):
    """x, weight, bias and gy of fitting shapes in any memory layout, then stride and padding."""
    N, C, K = draw(st.integers(1, 3)), draw(st.integers(1, 4)), draw(st.integers(1, 6))
    axes = []
    for _ in range(2):
        kernel, stride = draw(st.integers(1, 4)), draw(st.integers(1, 3))
        padding = draw(st.integers(0, 3)), draw(st.integers(0, 3))
        size = max(1, kernel - sum(padding)) + draw(st.integers(0, 9))
        axes.append((size, kernel, stride, padding))
    sizes, kernels, stride, padding = zip(*axes, strict=True)
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    shapes = (N, C, *sizes), (K, C, *kernels), (K,), shape_of_y((N, C, *sizes), (K, C, *kernels), stride, padding)
    arrays = (rng.standard_normal(shape).astype(dtype) for shape in shapes)
    return *(laid_out(a, draw(st.sampled_from(LAYOUTS))) for a in arrays), stride, padding


def shape_of_y(x_shape, weight_shape, stride, padding):
    """Count the places where the kernel lies inside the padded images."""
    counts = []
    for size, kernel, step, pad in zip(x_shape[2:], weight_shape[2:], stride, padding, strict=True):
        counts.append(len([i for i in range(0, size + sum(pad), step) if i + kernel <= size + sum(pad)]))
    return x_shape[0], weight_shape[0], *counts


def terms(x_shape, weight_shape, stride, padding):
    """All (n, k, i, j, c, u, v, a, b) of equation (1) whose pixel (a, b) lies inside the image."""
    (N, C, H, W), (K, _, U, V) = x_shape, weight_shape
    _, _, I, J = shape_of_y(x_shape, weight_shape, stride, padding)
    for i, u, j, v in np.ndindex(I, U, J, V):
        a, b = i * stride[0] + u - padding[0][0], j * stride[1] + v - padding[1][0]
        if 0 <= a < H and 0 <= b < W:
            for n, k, c in np.ndindex(N, K, C):
                yield n, k, i, j, c, u, v, a, b


def definition(x, weight, bias, gy, stride, padding):
    """y, gx and gw, term by term; shares no code with what it judges."""
    x, weight, gy = (np.asarray(a, np.float64) for a in (x, weight, gy))
    y, gx, gw = np.zeros(gy.shape), np.zeros(x.shape), np.zeros(weight.shape)
    y += np.asarray(bias, np.float64).reshape(1, -1, 1, 1)
    for n, k, i, j, c, u, v, a, b in terms(x.shape, weight.shape, stride, padding):
        y[n, k, i, j] += weight[k, c, u, v] * x[n, c, a, b]
        gx[n, c, a, b] += weight[k, c, u, v] * gy[n, k, i, j]
        gw[k, c, u, v] += gy[n, k, i, j] * x[n, c, a, b]
    return y, gx, gw


def computed(voice, x, weight, bias, gy, *options):
    """y, gx and gw of a voice."""
    kernels = VOICES[voice]
    return (
        kernels.forward(x, weight, bias, *options),
        kernels.gradient_x(gy, weight, x.shape, *options),
        kernels.gradient_weight(gy, x, weight.shape, *options),
    )


def assert_same(results, expected, dtype):
    for result, right in zip(results, expected, strict=True):
        assert (result.shape, result.dtype) == (right.shape, dtype)
        assert result.flags.c_contiguous and result.flags.writeable
        assert_allclose(result, right, rtol=0, atol=TOLERANCE[dtype] * max(1, abs(right).max()))


@every_voice
@every_dtype
@given(st.data())
def test_a_voice_is_the_definition(voice, dtype, data):
    problem = data.draw(problems(dtype))
    assert_same(computed(voice, *problem), definition(*problem), dtype)


@every_voice
@given(st.data())
def test_gradients_are_adjoints(voice, data):
    """<y(x, w), gy> = <x, gx> = <w, gw>: exact to rounding, no step size to choose."""
    x, weight, _, gy, *options = data.draw(problems())
    y, gx, gw = computed(voice, x, weight, None, gy, *options)
    scale = np.linalg.norm(y) * np.linalg.norm(gy) + 1e-300
    assert_allclose(np.vdot(x, gx) / scale, np.vdot(y, gy) / scale, atol=1e-13)
    assert_allclose(np.vdot(weight, gw) / scale, np.vdot(y, gy) / scale, atol=1e-13)


# x, weight, stride, padding: images cut into blocks of rows, several images in a block, a short last block of
# either kind, long rows, one channel, 1x1 kernels, strides with and without padding, a stride above the kernel.
LAYERS = [
    ((2, 32, 60, 60), (32, 32, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((40, 32, 30, 30), (32, 32, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((8, 3, 61, 60), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((1, 24, 37, 41), (2, 24, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((70, 3, 12, 12), (5, 3, 5, 5), (1, 1), ((0, 0), (0, 0))),
    ((67, 2, 13, 13), (4, 2, 3, 3), (1, 1), ((2, 1), (0, 2))),
    ((67, 2, 5, 20), (4, 2, 3, 3), (1, 1), ((2, 1), (0, 2))),
    ((3, 1, 60, 60), (20, 1, 5, 5), (1, 1), ((0, 0), (0, 0))),
    ((2, 2, 5, 700), (3, 2, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((1, 3, 2, 8), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1))),  # blocks of fewer vectors than a tile
    ((1, 3, 2, 16), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((1, 3, 2, 32), (4, 3, 3, 3), (1, 1), ((1, 1), (1, 1))),
    ((35, 16, 15, 15), (9, 16, 1, 1), (1, 1), ((0, 0), (0, 0))),
    ((37, 17, 15, 15), (8, 17, 1, 1), (1, 1), ((0, 0), (0, 0))),  # channels and pixels that fill no tile
    ((3, 6, 30, 30), (4, 6, 1, 1), (1, 1), ((0, 0), (0, 0))),
    ((21, 16, 9, 9), (32, 16, 1, 1), (1, 1), ((0, 0), (0, 0))),  # squares of odd numbers: the last pixel apart
    ((2, 400, 7, 5), (16, 400, 1, 1), (1, 1), ((0, 0), (0, 0))),  # more channels than stay near
    ((2, 64, 31, 30), (70, 64, 3, 3), (1, 1), ((0, 1), (1, 1))),
    ((20, 20, 28, 28), (20, 20, 5, 5), (1, 1), ((0, 0), (0, 0))),
    ((2, 8, 61, 200), (6, 8, 5, 3), (1, 1), ((2, 2), (1, 1))),
    ((12, 16, 66, 203), (16, 16, 3, 3), (1, 1), ((1, 1), (1, 1))),  # a short block after a full one, transformed
    ((40, 8, 30, 30), (16, 8, 3, 3), (2, 2), ((0, 1), (0, 1))),
    ((45, 7, 12, 14), (9, 7, 3, 5), (1, 1), ((1, 0), (2, 3))),  # abreast, the last of them fewer
    ((64, 6, 9, 9), (6, 6, 5, 5), (1, 1), ((2, 2), (2, 2))),
    ((1105, 6, 6, 4), (6, 6, 3, 3), (1, 1), ((0, 0), (0, 0))),
    ((47, 40, 40, 10), (33, 40, 3, 3), (1, 1), ((1, 1), (0, 1))),
    ((2, 4, 31, 29), (6, 4, 3, 2), (2, 3), ((1, 0), (1, 1))),
    ((3, 4, 16, 17), (3, 4, 2, 1), (3, 2), ((0, 0), (0, 0))),
]


@every_dtype
@pytest.mark.parametrize("x_shape, weight_shape, stride, padding", LAYERS)
def test_voices_agree_on_layers_of_networks(x_shape, weight_shape, stride, padding, dtype):
    rng = np.random.default_rng(0)
    y_shape = shape_of_y(x_shape, weight_shape, stride, padding)
    shapes = x_shape, weight_shape, weight_shape[:1], y_shape
    problem = (*(rng.standard_normal(shape).astype(dtype) for shape in shapes), stride, padding)
    assert_same(computed("cpu", *problem), computed("reference", *problem), dtype)


@every_dtype
@given(
    st.integers(1, 70), st.integers(6, 8), st.integers(6, 9), st.tuples(st.integers(4, 20), st.integers(3, 18)),
    st.sampled_from([3, 5]), st.integers(1, 4), st.tuples(st.integers(0, 2), st.integers(0, 2)), st.integers(0, 1),
)  # fmt: skip
def test_images_abreast(dtype, N, C, K, size, U, V, pad, more):
    """Enough small images to fill vectors, which then hold a pixel of each; also those among more channels."""
    rng = np.random.default_rng(0)
    padding = (pad, pad[::-1])
    x_shape, weight_shape = (N, C, max(size[0], U), max(size[1], V)), (K, C, U, V)
    y_shape = shape_of_y(x_shape, weight_shape, (1, 1), padding)
    x, gy = (rng.standard_normal((n, c + more, *plane)).astype(dtype) for n, c, *plane in (x_shape, y_shape))
    weight, bias = rng.standard_normal(weight_shape).astype(dtype), rng.standard_normal(K).astype(dtype)
    problem = x[:, more:], weight, bias, gy[:, more:], (1, 1), padding
    assert_same(computed("cpu", *problem), computed("reference", *problem), dtype)


def test_the_layers_are_cut_in_every_way():
    """What the list above promises, so that no way of cutting goes untested when block sizes change."""
    forward, weight = [], []
    for x_shape, weight_shape, stride, padding in LAYERS:
        y_shape = reference.out_shape(x_shape, weight_shape, stride, padding)
        axes = cpu._forward_axes(x_shape, y_shape, weight_shape, stride, padding, 4)
        K, C = weight_shape[:2]
        forward.append((x_shape[0], cpu._forward_recipe(x_shape, weight_shape, stride, padding, 4).plan))
        weight.append((x_shape[0], cpu._plan(axes, x_shape, K, 4, min(layout.CACHE // 4, cpu.NEAR * (K + C)))))
    for plans in (forward, weight):
        assert any(plan.lattice_rows % plan.cuts for _, plan in plans)
        assert any(plan.images > 1 and N % plan.images for N, plan in plans)
        assert any(plan.pitch == plan.lattice_cols for _, plan in plans)
        assert any(plan.tile for _, plan in plans) and not all(plan.tile for _, plan in plans)
        assert any(plan.blocks > plan.pieces for _, plan in plans)
        assert any(plan.abreast > 1 and plan.cuts > 1 for _, plan in plans)
        assert any(plan.abreast > 1 and plan.images > 1 and N % plan.abreast for N, plan in plans)
        assert any(plan.abreast > 1 and plan.all_images % plan.images for _, plan in plans)
    # A short block after a full one in the same piece: what the full one left behind must not be added.
    assert any(plan.lattice_rows % plan.cuts and plan.blocks > parts.PARTS for _, plan in weight)
    # Results that go straight to y: of several images, and of a block that does not fill a tile.
    assert any(plan.targets.size and plan.images > 1 and N % plan.images for N, plan in forward)
    assert any(plan.targets.size and plan.vectors < VECTORS for _, plan in forward)


@every_dtype
@pytest.mark.parametrize("size", [1, 3])
def test_images_of_any_number_of_vectors(size, dtype):
    """Tiles of every width: every pixel gets its result. Filters of one pixel, and of three by three."""
    rng = np.random.default_rng(0)
    weight = rng.standard_normal((8, 3, size, size)).astype(dtype)
    for width in range(3, 70):
        x = rng.standard_normal((2, 3, 3, width)).astype(dtype)
        arguments = x, weight, None, (1, 1), ((0, 0), (0, 0))
        y = cpu.forward(*arguments)
        assert_allclose(y, reference.forward(*arguments), rtol=0, atol=10 * TOLERANCE[dtype], err_msg=str(width))


@every_dtype
@pytest.mark.parametrize("size", [(15, 15), (3, 11), (2, 17)])  # 1 pixel after vectors of 4, 8 and 16, or 2 of 16
def test_a_last_pixel_apart_has_the_bits_of_the_others(size, dtype):
    """Many images, whose last pixels are computed together, against each image alone; also for NaN and infinity."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((37, 5, *size)).astype(dtype), rng.standard_normal((32, 5, 1, 1)).astype(dtype)
    bias, gy = rng.standard_normal(32).astype(dtype), rng.standard_normal((37, 32, *size)).astype(dtype)
    x[3, 1, -1, -1], x[4, 2, -1, -1], x[5, 0, -1, -2] = np.nan, np.inf, np.nan
    for rectify in (False, True):
        options = (1, 1), ((0, 0), (0, 0)), rectify
        alone = np.concatenate([cpu.forward(x[n : n + 1], weight, bias, *options) for n in range(len(x))])
        assert_array_equal(cpu.forward(x, weight, bias, *options), alone)
    weight, options = weight.swapaxes(0, 1).copy(), ((1, 1), ((0, 0), (0, 0)))  # 32 channels of x, 5 of gy
    together = cpu.gradient_x(gy[:, :5], weight, (37, 32, *size), *options)
    alone = [cpu.gradient_x(gy[n : n + 1, :5], weight, (1, 32, *size), *options) for n in range(len(gy))]
    assert_array_equal(together, np.concatenate(alone))


@every_voice
@every_dtype
@given(st.data())
def test_gradient_to_the_bias(voice, dtype, data):
    _, _, _, gy, *_ = data.draw(problems(dtype))
    expected = np.asarray(gy, np.float64).sum(axis=(0, 2, 3))
    assert_same([VOICES[voice].gradient_bias(gy)], [expected], dtype)


@every_voice
@every_dtype
@given(st.data())
def test_rectify_is_relu(voice, dtype, data):
    """And so are the gradients, also from a slice of channels, as they come from a concatenation."""
    x, weight, bias, gy, stride, padding = data.draw(problems(dtype))
    gy = np.concatenate([gy, gy], axis=1)[:, gy.shape[1] :]
    options = {"stride": stride, "padding": padding}
    with use(voice):
        results = []
        for layer in (lambda *xs: relu(conv2d(*xs, **options)), lambda *xs: conv2d(*xs, **options, rectify=True)):
            xs = [Tensor(a, requires_grad=True) for a in (x, weight, bias)]
            y = layer(*xs)
            results.append([y.data, *(g.data for g in grad(y, xs, gy))])
    for apart, together in zip(*results, strict=True):
        assert_array_equal(apart, together)


@pytest.mark.parametrize(
    "x_shape, weight_shape, stride, padding",
    [
        ((5, 6, 21, 20), (7, 6, 3, 3), (2, 2), ((1, 1), (0, 1))),
        ((45, 7, 12, 14), (9, 7, 3, 5), (1, 1), ((1, 0), (2, 3))),  # images abreast
        ((21, 16, 9, 9), (32, 16, 1, 1), (1, 1), ((0, 0), (0, 0))),  # one pixel, the last apart
    ],
)
def test_the_same_bits_at_any_number_of_threads(x_shape, weight_shape, stride, padding):
    rng, most = np.random.default_rng(0), numba.get_num_threads()
    x, weight = rng.standard_normal(x_shape), rng.standard_normal(weight_shape)
    gy, options = rng.standard_normal(shape_of_y(x_shape, weight_shape, stride, padding)), (stride, padding)
    problem = [a.astype(np.float32) for a in (x, weight, weight[:, 0, 0, 0], gy)]
    results = []
    for threads in (1, most):
        numba.set_num_threads(threads)
        results.append(computed("cpu", *problem, *options))
    for one, many in zip(*results, strict=True):
        assert_array_equal(one, many)


# The tape


@every_voice
@given(st.data())
def test_derivatives_through_the_tape(voice, data):
    x, weight, bias, _, stride, padding = data.draw(problems())

    def layer(x, weight, bias):
        return conv2d(x, weight, bias, stride=stride, padding=padding)

    with use(voice):
        check.vjp(layer, x, weight, bias)
        check.adjoint(layer, x, weight, bias)


@every_voice
def test_second_derivatives(voice):
    rng = np.random.default_rng(0)
    x, weight, bias = rng.standard_normal((2, 2, 6, 5)), rng.standard_normal((3, 2, 3, 2)), rng.standard_normal(3)
    with use(voice):
        check.second_order(lambda *xs: conv2d(*xs, stride=(2, 1), padding=((1, 0), (2, 1))) ** 2, x, weight, bias)


@every_voice
def test_third_derivatives_are_those_of_a_cubic(voice):
    """conv2d(t x, w) cubed is t^3 conv2d(x, w)^3, whose third derivative to t is 6 conv2d(x, w)^3."""
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 2, 3, 3)), Tensor(rng.standard_normal((1, 2, 3, 3)))
    t = Tensor(np.array(0.7), requires_grad=True)
    with use(voice):
        y = conv2d(t * x, weight)
        derivative = (y * y * y).sum()
        for _ in range(3):
            derivative = grad(derivative, t, create_graph=True)
        assert_allclose(derivative.item(), 6 * conv2d(x, weight).item() ** 3, rtol=1e-12)


@every_voice
def test_third_derivatives_depend_on_images_and_filters(voice):
    """The gradient to the images as a function of both, checked to second order."""
    rng = np.random.default_rng(0)

    def gradient(x, weight):
        x = x if x.requires_grad else Tensor(x.data, requires_grad=True)
        y = conv2d(x, weight, padding=(1, 0))
        return grad((y * y).sum(), x, create_graph=True)

    with use(voice):
        check.second_order(gradient, rng.standard_normal((1, 2, 4, 3)), rng.standard_normal((2, 2, 3, 2)))


def test_no_gradient_is_computed_for_a_constant(monkeypatch):
    """The first layer of a network sees images, which need no gradient."""
    rng = np.random.default_rng(0)
    x, weight = Tensor(rng.standard_normal((1, 1, 5, 5))), Tensor(rng.standard_normal((2, 1, 3, 3)), requires_grad=True)
    monkeypatch.setattr(reference, "gradient_x", None)
    with use("reference"):
        conv2d(x, weight).sum().backward()
    assert weight.grad.shape == weight.shape


@every_voice
@every_dtype
def test_dtype_is_kept_through_the_tape(voice, dtype):
    rng = np.random.default_rng(0)
    shapes = (2, 2, 5, 5), (3, 2, 3, 3), (3,)
    xs = [Tensor(rng.standard_normal(s).astype(dtype), requires_grad=True) for s in shapes]
    with use(voice):
        y = conv2d(*xs)
        assert {y.dtype, *(g.dtype for g in grad(y.sum(), xs))} == {np.dtype(dtype)}


def test_voices_do_not_write_to_their_inputs():
    rng = np.random.default_rng(0)
    shapes = (2, 2, 6, 6), (3, 2, 3, 3), (3,), (2, 3, 4, 4)
    arrays = [rng.standard_normal(s) for s in shapes]
    before = [a.copy() for a in arrays]
    for voice in VOICES:
        for writable in (True, False):
            for a in arrays:
                a.setflags(write=writable)
            computed(voice, *arrays, (1, 1), ((0, 0), (0, 0)))
            for a, b in zip(arrays, before, strict=True):
                assert_array_equal(a, b)


# Options and errors

EQUAL_OPTIONS = [
    ({}, {"stride": (1, 1), "padding": ((0, 0), (0, 0))}),
    ({"stride": 2}, {"stride": (2, 2)}),
    ({"padding": 1}, {"padding": ((1, 1), (1, 1))}),
    ({"padding": (2, 1)}, {"padding": ((2, 2), (1, 1))}),
    ({"padding": ((2, 1), 1)}, {"padding": ((2, 1), (1, 1))}),
    ({"stride": np.int64(2), "padding": [0, 1]}, {"stride": (2, 2), "padding": ((0, 0), (1, 1))}),
    ({"padding": "same"}, {"padding": ((1, 1), (0, 1))}),
]


@pytest.mark.parametrize("short, explicit", EQUAL_OPTIONS)
def test_forms_of_options(short, explicit):
    rng = np.random.default_rng(0)
    x, weight = rng.standard_normal((1, 2, 7, 8)), rng.standard_normal((3, 2, 3, 2))
    assert_array_equal(conv2d(x, weight, **short).data, conv2d(x, weight, **explicit).data)


@pytest.mark.parametrize("kernel", [(1, 1), (2, 2), (3, 4), (5, 2)])
def test_same_keeps_the_size(kernel):
    """An even kernel reaches further to the bottom and the right, as in Keras."""
    x = np.zeros((1, 1, 6, 7))
    x[0, 0, 3, 3] = 1
    weight = np.arange(1.0, 1 + np.prod(kernel)).reshape(1, 1, *kernel)
    y = conv2d(x, weight, padding="same").data[0, 0]
    assert y.shape == (6, 7)
    assert y[3, 3] == weight[0, 0, (kernel[0] - 1) // 2, (kernel[1] - 1) // 2]


def zeros(*shape, dtype=np.float32):
    return np.zeros(shape, dtype)


IMAGES, FILTERS = zeros(2, 3, 8, 8), zeros(4, 3, 3, 3)
ERRORS = [
    (zeros(2, 3, 8, 8), zeros(4, 1, 3, 3), {}, "images (2, 3, 8, 8) have 3 channels, weight (4, 1, 3, 3) expects 1"),
    (zeros(2, 1, 8, 8), zeros(4, 3, 3, 3), {}, "images (2, 1, 8, 8) have 1 channel, weight (4, 3, 3, 3) expects 3"),
    (zeros(2, 3, 8), zeros(4, 3, 3, 3), {}, "expected (N, C, H, W) and (outputs, inputs, kh, kw)"),
    (zeros(2, 3, 8, 8), zeros(4, 3, 3), {}, "images (2, 3, 8, 8) and weight (4, 3, 3)"),
    (zeros(0, 3, 8, 8), zeros(4, 3, 3, 3), {}, "images (0, 3, 8, 8) are an empty batch"),
    (zeros(2, 0, 8, 8), zeros(4, 0, 3, 3), {}, "must have no axis of size 0"),
    (
        zeros(2, 3, 2, 8),
        zeros(4, 3, 3, 3),
        {},
        "the 3x3 kernel of weight (4, 3, 3, 3) is larger than the padded images (2, 8)",
    ),
    (zeros(2, 3, 8, 2), zeros(4, 3, 1, 4), {"padding": ((0, 0), (1, 0))}, "larger than the padded images (8, 3)"),
    (IMAGES, FILTERS, {"bias": zeros(3)}, "bias (3,), weight (4, 3, 3, 3) expects (4,)"),
    (IMAGES, FILTERS, {"bias": zeros(1, 4)}, "bias (1, 4), weight (4, 3, 3, 3) expects (4,)"),
    (IMAGES, FILTERS, {"stride": 0}, "stride 0, expected at least 1"),
    (IMAGES, FILTERS, {"stride": (1, -1)}, "stride (1, -1), expected at least 1"),
    (IMAGES, FILTERS, {"stride": 1.5}, "stride 1.5, expected an int or a pair"),
    (IMAGES, FILTERS, {"stride": (1, 1.5)}, "stride (1, 1.5), expected an int or a pair of ints"),
    (IMAGES, FILTERS, {"padding": -1}, "padding -1, expected at least 0"),
    (IMAGES, FILTERS, {"padding": ((0, 0), (0, -2))}, "padding (0, -2), expected at least 0"),
    (IMAGES, FILTERS, {"padding": (1, 1, 1)}, "padding (1, 1, 1), expected an int or a pair"),
    (IMAGES, FILTERS, {"padding": "valid"}, "padding 'valid', expected ints or \"same\""),
    (
        zeros(2, 3, 8, 8),
        zeros(4, 3, 3, 3),
        {"padding": "same", "stride": 2},
        'padding "same" needs stride 1, got stride (2, 2)',
    ),
]


@pytest.mark.parametrize("x, weight, options, message", ERRORS, ids=lambda e: e if isinstance(e, str) else "")
def test_errors(x, weight, options, message):
    with pytest.raises(ValueError, match=re.escape(message)) as raised:
        conv2d(x, weight, **options)
    assert str(raised.value).startswith("conv2d: ")


@pytest.mark.parametrize("position", range(3))
@pytest.mark.parametrize(
    "dtype, message", [(np.int64, "int64"), (np.float16, "float16"), (np.float64, "different dtypes")]
)
def test_dtypes_that_do_not_fit(position, dtype, message):
    arrays = [zeros(1, 1, 3, 3), zeros(1, 1, 3, 3), zeros(1)]
    arrays[position] = arrays[position].astype(dtype)
    with pytest.raises(TypeError, match=message):
        conv2d(*arrays)
