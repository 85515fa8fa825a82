"""bilinear_sample: every voice against a sum over all pixels, at kinks and beyond the border; derivatives."""

import numba
import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, use
from autodiff.ops.bilinear_sample import BORDERS, bilinear_sample, cpu, reference, splat

from ..arrays import LAYOUTS, laid_out

VOICES = {"reference": reference, "cpu": cpu}
DTYPES = [np.float32, np.float64]
ATOL = {
    np.float32: 2e-5,
    np.float64: 1e-9,
}  # sums of 4 products of size 10; the oracle divides its rounding by 2^-20
ORDERS = [(0, 0), (1, 0), (0, 1), (1, 1)]

every_voice = pytest.mark.parametrize("voice", VOICES)
every_dtype = pytest.mark.parametrize("dtype", DTYPES)
every_border = pytest.mark.parametrize("border", BORDERS)


@st.composite
def problems(draw, dtype=np.float64, layouts=LAYOUTS[:1]):
    """An image, a motion and a gradient g of the result; size 1 included.

    Motions are multiples of 1/4: many positions are integers, where the kinks are; all are exact.
    """
    N, C = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    H, W, I, J = (draw(st.integers(1, 6)) for _ in range(4))
    rng = np.random.default_rng(draw(st.integers(0, 2**32 - 1)))
    arrays = (
        rng.standard_normal((N, C, H, W)),
        rng.integers(-48, 49, (N, 2, I, J)) / 4,
        rng.standard_normal((N, C, I, J)),
    )
    return [laid_out(a.astype(dtype), draw(st.sampled_from(layouts))) for a in arrays]


def off_kinks(shape, seed=0, reach=6):
    """A motion to positions at least 0.1 away from integers, inside and outside the image."""
    rng = np.random.default_rng(seed)
    return rng.integers(-reach, reach + 1, shape) + rng.uniform(0.1, 0.9, shape)


def definition(image, motion, border):
    """Jaderberg's sum over all pixels, at a position that the border moved into the image.

    Shares no code with the voices, nor their way to see a border: they continue the image.
    """
    (N, C, H, W), (I, J) = image.shape, motion.shape[2:]
    sampled = np.zeros((N, C, I, J))
    for n, i, j in np.ndindex(N, I, J):
        x, y = j + float(motion[n, 0, i, j]), i + float(motion[n, 1, i, j])
        if border == "edge":
            x, y = min(max(x, 0), W - 1), min(max(y, 0), H - 1)
        if border == "reflect":
            x, y = mirrored(x, W), mirrored(y, H)
        for l, m in np.ndindex(H, W):
            sampled[n, :, i, j] += image[n, :, l, m] * max(0, 1 - abs(x - m)) * max(0, 1 - abs(y - l))
    return sampled


def mirrored(x, size):
    """Bounce x off the centres of the first and the last pixel until it is between them."""
    while size > 1 and not 0 <= x <= size - 1:
        x = -x if x < 0 else 2 * (size - 1) - x
    return x if size > 1 else 0


def right_derivative(image, motion, border, a, b, h=2.0**-10):
    """The definition differentiated from the right, exact as long as no kink lies between x and x + h."""
    if not a and not b:
        return definition(image, motion, border)
    step = np.array([h, 0] if a else [0, h]).reshape(1, 2, 1, 1)
    a, b = (0, b) if a else (a, 0)
    return (right_derivative(image, motion + step, border, a, b) - right_derivative(image, motion, border, a, b)) / h


@every_voice
@every_dtype
@pytest.mark.parametrize("a, b", ORDERS)
@given(st.data())
def test_sample_is_the_definition_from_the_right(voice, dtype, a, b, data):
    image, motion, _ = data.draw(problems(dtype))
    border = data.draw(st.sampled_from(BORDERS))
    expected = right_derivative(image.astype(float), motion.astype(float), border, a, b)
    assert_allclose(VOICES[voice].sample(image, motion, a, b, border), expected, atol=ATOL[dtype])


@every_voice
@pytest.mark.parametrize("a, b", ORDERS)
@given(st.data())
def test_splat_is_the_adjoint_of_sample(voice, a, b, data):
    image, motion, g = data.draw(problems())
    border = data.draw(st.sampled_from(BORDERS))
    splatted = VOICES[voice].splat(g, motion, image.shape[2:], a, b, border)
    inner = np.vdot(VOICES[voice].sample(image, motion, a, b, border), g)
    assert_allclose(np.vdot(image, splatted), inner, atol=1e-10)


@every_dtype
@given(st.data())
def test_voices_agree_for_every_layout(dtype, data):
    image, motion, g = data.draw(problems(dtype, LAYOUTS))
    a, b = data.draw(st.sampled_from(ORDERS))
    border = data.draw(st.sampled_from(BORDERS))
    for name, args in [("sample", (image, motion)), ("splat", (g, motion, image.shape[2:]))]:
        expected, computed = (getattr(module, name)(*args, a, b, border) for module in (reference, cpu))
        for result in (expected, computed):
            assert result.dtype == dtype and result.flags.c_contiguous and result.base is not image
        assert_allclose(computed, expected, atol=1e-4 if dtype == np.float32 else 1e-12)  # up to 36 terms a pixel


@every_border
def test_voices_agree_on_more_pixels_than_a_block(border):
    rng = np.random.default_rng(0)
    image, motion = rng.standard_normal((2, 3, 50, 40)), 5 * rng.standard_normal((2, 2, 45, 31))
    assert motion[0, 0].size > 2 * cpu.BLOCK
    assert_allclose(cpu.sample(image, motion, 0, 0, border), reference.sample(image, motion, 0, 0, border), atol=1e-12)
    g = rng.standard_normal((2, 3, 45, 31))
    splats = [voice.splat(g, motion, (50, 40), 1, 0, border) for voice in (cpu, reference)]
    assert_allclose(*splats, atol=1e-12)


@every_voice
@every_dtype
@every_border
def test_the_identity_is_exact_even_for_infinite_pixels(voice, dtype, border):
    huge = np.finfo(dtype).max
    image = np.array([[1, huge, -huge, 3], [np.inf, 7, np.nan, -np.inf], [huge, huge, 0, 0.1]], dtype)[None, None]
    with use(voice):
        assert_array_equal(bilinear_sample(image, np.zeros((1, 2, 3, 4), dtype), border=border).data, image)
        shifted = bilinear_sample(image, np.full((1, 2, 2, 3), 1, dtype), border=border).data
    assert_array_equal(shifted, image[:, :, 1:, 1:])


@every_voice
@every_dtype
@pytest.mark.parametrize("border", ["edge", "reflect"])
def test_a_constant_is_continued_exactly_beyond_the_border(voice, dtype, border):
    image = np.full((1, 1, 3, 1), 0.1, dtype)
    motion = off_kinks((1, 2, 20, 20)).astype(dtype)
    sampled = VOICES[voice].sample(image, motion, 0, 0, border)
    assert_allclose(sampled, image[0, 0, 0, 0], rtol=4 * np.finfo(dtype).eps)
    assert not VOICES[voice].sample(image, motion, 1, 0, border).any()
    if border == "edge":
        assert (sampled[motion[:, None, 1] + np.arange(20)[:, None] < 0] == image[0, 0, 0, 0]).all()


@every_voice
@pytest.mark.parametrize(
    "border, slopes",
    [  # to the right of x = -2, -1, ..., 5 in the row 1 4 9 16
        ("zeros", [0, 1, 3, 5, 7, -16, 0, 0]),
        ("edge", [0, 0, 3, 5, 7, 0, 0, 0]),
        ("reflect", [-5, -3, 3, 5, 7, -7, -5, -3]),
    ],
)
def test_kinks_take_the_derivative_from_the_right(voice, border, slopes):
    row = np.array([1.0, 4, 9, 16])
    positions = np.arange(-2.0, 6)
    along_x = np.stack([positions - np.arange(8), np.zeros(8)]).reshape(1, 2, 1, 8)
    along_y = np.stack([np.zeros(8), positions - np.arange(8)]).reshape(1, 2, 8, 1)
    for image, motion, axis in [(row.reshape(1, 1, 1, 4), along_x, 0), (row.reshape(1, 1, 4, 1), along_y, 1)]:
        w = Tensor(motion, requires_grad=True)
        with use(voice):
            gradient = grad(bilinear_sample(image, w, border=border).sum(), w).data
        assert_array_equal(gradient[0, axis].ravel(), slopes)


@every_voice
@every_dtype
def test_positions_that_are_not_numbers_or_far_away(voice, dtype):
    image = np.array([[[[2.0, 3, 5]]]], dtype)
    far = np.array([np.nan, np.inf, -np.inf, 1e30, -1e30, 3e9, -3e9], dtype)
    motion = np.stack([far, np.zeros_like(far)]).reshape(1, 2, 1, 7)
    sample, splat = VOICES[voice].sample, VOICES[voice].splat
    nan = np.nan
    assert_array_equal(sample(image, motion, 0, 0, "zeros")[0, 0, 0], [nan, 0, 0, 0, 0, 0, 0])
    assert_array_equal(sample(image, motion, 0, 0, "edge")[0, 0, 0], [nan, 5, 2, 5, 2, 5, 2])
    reflected = sample(image, motion, 0, 0, "reflect")[0, 0, 0]
    assert_array_equal(np.isnan(reflected), [True, True, True, False, False, False, False])
    assert reflected[3:].min() >= 2 and reflected[3:].max() <= 5
    for border in BORDERS:
        for a, b in ORDERS:
            assert np.isnan(sample(image, motion, a, b, border)[0, 0, 0, 0])
        splatted = splat(np.ones((1, 1, 1, 7), dtype), motion, (1, 3), 0, 0, border)
        assert_array_equal(np.isnan(splatted[0, 0, 0]), [True, False, False])


@every_voice
@every_border
@pytest.mark.parametrize("shape", [(5, 4), (1, 3)])
def test_gradients(voice, border, shape):
    image, motion = (
        np.random.default_rng(1).standard_normal((2, 2, *shape)),
        off_kinks((2, 2, 3, 4), seed=2, reach=3),
    )

    def fun(image, motion):
        return bilinear_sample(image, motion, border=border)

    with use(voice):
        check.vjp(fun, image, motion)
        check.adjoint(fun, image, motion)
        check.second_order(fun, image, motion)


@every_voice
def test_third_order(voice):
    """The gradient to the motion is itself checked to second order: every vjp of sample and splat."""
    image, motion = (
        np.random.default_rng(3).standard_normal((1, 2, 4, 4)),
        off_kinks((1, 2, 3, 3), seed=4, reach=1),
    )

    def slope(image, motion):
        w = motion if motion.requires_grad else Tensor(motion.data, requires_grad=True)
        y = bilinear_sample(image, w)
        return grad((y * y).sum(), w, create_graph=True)

    with use(voice):
        check.vjp(slope, image, motion)
        check.second_order(slope, image, motion)


@every_voice
def test_the_mixed_second_derivative(voice):
    """d2/dxdy is the twist of the four pixels; d2/dx2 and d2/dy2 are zero between the kinks."""
    image = np.array([[1.0, 2], [4, 8]]).reshape(1, 1, 2, 2)
    w = Tensor(np.array([0.3, 0.6]).reshape(1, 2, 1, 1), requires_grad=True)
    with use(voice):
        gw = grad(bilinear_sample(image, w).sum(), w, create_graph=True)
        hessian = [grad(gw[0, k, 0, 0], w).data.ravel() for k in range(2)]
    twist = 8 - 4 - 2 + 1
    assert_allclose(hessian, [[0, twist], [twist, 0]])


def test_the_printed_equation_6_of_the_paper_is_not_an_interpolation():
    """Its weights, sums of squares, add up to 2..4; products of the same components to 1, and are ours."""
    rng = np.random.default_rng(0)
    for s, t in [(0.0, 0.0), (0.5, 0.5), *rng.random((20, 2))]:
        toward_x, toward_y = (
            np.array([1 - t, t]),
            np.array([1 - s, s]),
        )  # the components of (1,1) - |p^ - p - w|
        printed = toward_y[:, None] ** 2 + toward_x**2
        meant = toward_y[:, None] * toward_x
        assert 2 <= printed.sum() <= 4
        assert_allclose(meant.sum(), 1)
        image = rng.standard_normal((2, 2))
        motion = np.array([t, s]).reshape(1, 2, 1, 1)
        assert_allclose(bilinear_sample(image[None, None], motion).data.item(), (meant * image).sum())
        if (s, t) == (0.0, 0.0):
            assert_allclose((printed * image).sum(), 2 * image[0, 0] + image[0, 1] + image[1, 0])


@every_border
def test_the_same_bits_at_any_number_of_threads(border):
    rng = np.random.default_rng(0)
    image, motion = rng.random((5, 2, 30, 30), np.float32), 9 * rng.random((5, 2, 30, 30), np.float32)
    most = numba.get_num_threads()
    results = []
    for threads in (1, most):
        numba.set_num_threads(threads)
        results.append((cpu.sample(image, motion, 0, 1, border), cpu.splat(image, motion, (30, 30), 0, 0, border)))
    for one, many in zip(*results, strict=True):
        assert_array_equal(one, many)


def test_dtype_is_kept_through_the_tape():
    image = Tensor(np.ones((1, 1, 3, 3), np.float32), requires_grad=True)
    w = Tensor(np.full((1, 2, 2, 2), 0.5, np.float32), requires_grad=True)
    y = bilinear_sample(image, w)
    assert {y.dtype, *(g.dtype for g in grad(y.sum(), [image, w]))} == {np.dtype(np.float32)}


@pytest.mark.parametrize(
    "image, motion, border, error, words",
    [
        ((2, 1, 5, 5), (2, 3, 5, 5), "zeros", ValueError, ["(2, 1, 5, 5)", "(2, 3, 5, 5)", "(N, 2, I, J)"]),
        ((2, 1, 5, 5), (1, 2, 5, 5), "zeros", ValueError, ["(1, 2, 5, 5)"]),
        ((5, 5), (1, 2, 5, 5), "zeros", ValueError, ["(5, 5)"]),
        ((1, 1, 0, 5), (1, 2, 5, 5), "zeros", ValueError, ["(1, 1, 0, 5)", "no pixels"]),
        ((1, 1, 5, 5), (1, 2, 5, 5), "wrap", ValueError, ["'wrap'", "reflect"]),
    ],
)
def test_errors(image, motion, border, error, words):
    with pytest.raises(error) as failure:
        bilinear_sample(np.zeros(image), np.zeros(motion), border=border)
    assert all(word in str(failure.value) for word in ["bilinear_sample", *words])


def test_dtypes_must_be_floating_and_equal():
    image, motion = np.zeros((1, 1, 3, 3)), np.zeros((1, 2, 3, 3), np.float32)
    with pytest.raises(TypeError, match="bilinear_sample"):
        bilinear_sample(image, motion)
    with pytest.raises(TypeError, match="bilinear_sample"):
        bilinear_sample(image.astype(int), motion)


@every_voice
@every_border
@given(data=st.data())
def test_the_public_derivatives_and_splat(voice, border, data):
    """Slopes against the definition from the right, and splat against its adjoint, the sampler."""
    image, motion, values = data.draw(problems())
    with use(voice):
        for a, b in ORDERS[:3]:
            read = bilinear_sample(image, motion, border=border, derivative=(a, b)).data
            assert_allclose(read, right_derivative(image, motion, border, a, b), atol=1e-8)
        inner = np.vdot(bilinear_sample(image, motion, border=border).data, values)
        assert_allclose(np.vdot(image, splat(values, motion, image.shape[2:], border=border).data), inner, atol=1e-10)


@every_voice
def test_gradients_of_splat(voice):
    values, motion = np.random.default_rng(1).standard_normal((2, 2, 3, 4)), off_kinks((2, 2, 3, 4), seed=2, reach=3)
    with use(voice):
        check.vjp(lambda v, w: splat(v, w, (4, 5)), values, motion)
        check.adjoint(lambda v, w: splat(v, w, (4, 5)), values, motion)
        check.second_order(lambda v, w: splat(v, w, (4, 5)), values, motion)


@pytest.mark.parametrize(
    "values, motion, size, border, words",
    [
        ((2, 1, 5, 5), (2, 2, 5, 4), (5, 5), "zeros", ["(2, 1, 5, 5)", "(2, 2, 5, 4)", "(N, 2, I, J)"]),
        ((5, 5), (2, 2, 5, 5), (5, 5), "zeros", ["(5, 5)"]),
        ((2, 1, 5, 5), (2, 2, 5, 5), (5, 0), "zeros", ["size (5, 0)"]),
        ((2, 1, 5, 5), (2, 2, 5, 5), (5, 5), "wrap", ["'wrap'", "reflect"]),
    ],
)
def test_errors_of_splat(values, motion, size, border, words):
    with pytest.raises(ValueError) as failure:
        splat(np.zeros(values), np.zeros(motion), size, border=border)
    assert all(word in str(failure.value) for word in ["splat: ", *words])


def test_an_unknown_derivative():
    with pytest.raises(ValueError, match=r"bilinear_sample: unknown derivative \(2, 0\), expected one of \(0, 0\)"):
        bilinear_sample(np.zeros((1, 1, 3, 3)), np.zeros((1, 2, 3, 3)), derivative=(2, 0))
