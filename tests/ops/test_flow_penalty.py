"""bending_energy and smoothness: every voice against loops over pixels; what is zero for which motion."""

from math import sqrt

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, grad, use
from autodiff.ops.flow_penalty import FORMS, bending_energy, cpu, reference, smoothness

from ..arrays import LAYOUTS, laid_out

VOICES = {"reference": reference, "cpu": cpu}
NORMS = ["l1", "l2", "squared"]
EPS = 1e-3  # documented
RTOL = {
    np.float32: 1e-4,
    np.float64: 1e-12,
}  # means of some hundred numbers; l2 subtracts EPS from a root near it
STENCILS = [reference.DX, reference.DY, reference.LAPLACIAN, reference.DXX, reference.DXY, reference.DYY]

every_voice = pytest.mark.parametrize("voice", VOICES)
every_dtype = pytest.mark.parametrize("dtype", [np.float32, np.float64])
every_norm = pytest.mark.parametrize("norm", NORMS)


@st.composite
def motions(draw, dtype=np.float64):
    N, K, H, W = (
        draw(st.integers(1, 3)),
        draw(st.integers(1, 3)),
        draw(st.integers(3, 7)),
        draw(st.integers(3, 7)),
    )
    w = np.random.default_rng(draw(st.integers(0, 2**32 - 1))).standard_normal((N, K, H, W)).astype(dtype)
    return laid_out(w, draw(st.sampled_from(LAYOUTS)))


def pixels(shape):
    """x and y of every pixel."""
    return np.meshgrid(np.arange(float(shape[1])), np.arange(float(shape[0])))


def affine(shape, a, b, c, d):
    """The motion (a x + b y + 3, c x + d y - 2)."""
    x, y = pixels(shape)
    return np.stack([a * x + b * y + 3, c * x + d * y - 2])[None]


def differences(w, form):
    """{(n, i, j): [the differences of every component there]}, pixel by pixel."""
    N, K, H, W = w.shape
    found = {}
    for n, i, j in np.ndindex(N, H, W):
        p = w[n].astype(float)
        inside = 0 < i < H - 1 and 0 < j < W - 1
        if form == "dx" and j < W - 1:
            found[n, i, j] = [p[k, i, j + 1] - p[k, i, j] for k in range(K)]
        if form == "dy" and i < H - 1:
            found[n, i, j] = [p[k, i + 1, j] - p[k, i, j] for k in range(K)]
        if form in ("laplacian", "hessian") and inside:
            xx = [p[k, i, j - 1] - 2 * p[k, i, j] + p[k, i, j + 1] for k in range(K)]
            yy = [p[k, i - 1, j] - 2 * p[k, i, j] + p[k, i + 1, j] for k in range(K)]
            east, west = p[:, :, j + 1], p[:, :, j - 1]
            xy = [(east[k, i + 1] - east[k, i - 1] - west[k, i + 1] + west[k, i - 1]) / 4 for k in range(K)]
            laplacian = [first + second for first, second in zip(xx, yy, strict=True)]
            found[n, i, j] = laplacian if form == "laplacian" else [*xx, *yy, *(sqrt(2) * d for d in xy)]
    return found


def definition(parts, norm, reduction):
    """The penalty from the differences at every pixel, `parts` having supports of their own."""
    if norm == "l2":
        common = set.intersection(*(set(part) for part in parts))
        parts = [{p: [d for part in parts for d in part[p]] for p in common}]
    size = {
        "l1": lambda ds: sum(abs(d) for d in ds),
        "squared": lambda ds: sum(d * d for d in ds),
        "l2": lambda ds: sqrt(sum(d * d for d in ds) + EPS**2) - EPS,
    }[norm]
    return sum(sum(map(size, part.values())) / (len(part) if reduction == "mean" else 1) for part in parts)


@every_voice
@every_dtype
@every_norm
@given(st.data())
def test_penalties_are_their_definitions(voice, dtype, norm, data):
    w = data.draw(motions(dtype))
    reduction = data.draw(st.sampled_from(["mean", "sum"]))
    options = {"norm": norm, "reduction": reduction}
    with use(voice):
        computed = {form: bending_energy(w, form=form, **options) for form in FORMS}
        computed["gradient"] = smoothness(w, **options)
    for form, value in computed.items():
        parts = [differences(w, part) for part in (["dx", "dy"] if form == "gradient" else [form])]
        assert value.shape == () and value.dtype == dtype
        assert_allclose(value.data, definition(parts, norm, reduction), rtol=RTOL[dtype], err_msg=form)


@every_dtype
@pytest.mark.parametrize("stencil", STENCILS)
@given(st.data())
def test_voices_agree_and_the_adjoint_is_one(dtype, stencil, data):
    w = data.draw(motions(dtype))
    d = reference.correlate(w, stencil)
    g = np.random.default_rng(0).standard_normal(d.shape).astype(dtype)
    g = laid_out(g, data.draw(st.sampled_from(LAYOUTS)))
    gw = reference.correlate_adjoint(g, stencil)
    atol = 1e-4 if dtype == np.float32 else 1e-11  # some hundred products of size 10 in the scalar products
    assert gw.shape == w.shape
    assert_allclose(np.vdot(d, g), np.vdot(w, gw), atol=atol)
    for computed, expected in [(cpu.correlate(w, stencil), d), (cpu.correlate_adjoint(g, stencil), gw)]:
        assert computed.dtype == expected.dtype == dtype and computed.flags.c_contiguous
        assert_allclose(computed, expected, atol=atol)


@every_voice
@every_norm
@pytest.mark.parametrize("form", FORMS)
def test_affine_motions_do_not_bend(voice, norm, form):
    with use(voice):
        assert_allclose(bending_energy(affine((6, 5), 0.5, -2, 3, 0.25), norm=norm, form=form).data, 0, atol=1e-12)


@every_voice
@every_norm
def test_harmonic_motions_have_no_laplacian_but_a_hessian(voice, norm):
    """The paper's "zero for any linear transformation" has no converse: x^2 - y^2 and x y bend."""
    x, y = pixels((6, 7))
    w = np.stack([x**2 - y**2, x * y])[None]
    hessian = {"l1": 2 + 2 + sqrt(2), "squared": 4 + 4 + 2, "l2": sqrt(10 + EPS**2) - EPS}[norm]
    with use(voice):
        assert bending_energy(w, norm=norm).data == 0
        assert_allclose(bending_energy(w, norm=norm, form="hessian").data, hessian)


def test_laplacian_and_hessian_agree_when_squared_and_away_from_the_border():
    x, y = pixels((61, 61))
    w = np.exp(-((x - 30) ** 2 + (y - 28) ** 2) / (2 * 6**2))[None, None]
    energies = [bending_energy(w, norm="squared", form=form).data for form in FORMS]
    assert_allclose(*energies, rtol=0.03)  # the stencils are of second order: (1/6)^2


@every_voice
@every_norm
@pytest.mark.parametrize("shape", [(2, 2), (3, 8)])
def test_smoothness_of_an_affine_motion_is_the_size_of_its_matrix(voice, norm, shape):
    """Whatever the size of the field: every direction is averaged over its own points."""
    a, b, c, d = 0.5, -2, 3, 0.25
    squares = a**2 + b**2 + c**2 + d**2
    size = {"l1": abs(a) + abs(b) + abs(c) + abs(d), "squared": squares, "l2": sqrt(squares + EPS**2) - EPS}[norm]
    with use(voice):
        assert_allclose(smoothness(np.repeat(affine(shape, a, b, c, d), 3, axis=0), norm=norm).data, size)
        assert smoothness(affine(shape, 0, 0, 0, 0), norm=norm).data == 0


@every_voice
@every_norm
def test_gradients(voice, norm):
    """A motion with every difference away from 0, where l1 has its kink."""
    x, y = pixels((5, 6))
    noise = np.random.default_rng(0).uniform(-0.1, 0.1, (2, 2, 5, 6))
    w = x**2 + 2 * x * y + 3 * y**2 + noise
    with use(voice):
        for fun in (
            lambda w: bending_energy(w, norm=norm),
            lambda w: bending_energy(w, norm=norm, form="hessian"),
            lambda w: smoothness(w, norm=norm),
        ):
            check.vjp(fun, w)
            check.adjoint(fun, w)
            check.second_order(fun, w)


@every_voice
@every_dtype
@every_norm
def test_no_motion_costs_nothing_and_has_no_gradient(voice, dtype, norm):
    """Training starts at the kink of l1: its subgradient there is 0."""
    w = Tensor(np.zeros((1, 2, 4, 4), dtype), requires_grad=True)
    with use(voice):
        for penalty in (bending_energy, smoothness):
            value = penalty(w, norm=norm)
            gw = grad(value, w)
            assert value.data == 0 and gw.dtype == dtype
            assert_array_equal(gw.data, np.zeros(w.shape))


def test_the_default_is_the_literal_reading_of_the_paper():
    w = np.random.default_rng(0).standard_normal((2, 2, 5, 5))
    assert bending_energy(w).data == bending_energy(w, norm="l1", form="laplacian", reduction="mean").data
    assert smoothness(w).data == smoothness(w, norm="l1", reduction="mean").data


@pytest.mark.parametrize(
    "penalty, shape, options, words",
    [
        (bending_energy, (1, 2, 2, 9), {}, ["(1, 2, 2, 9)", "3 x 3"]),
        (smoothness, (1, 2, 1, 9), {}, ["(1, 2, 1, 9)", "2 x 2"]),
        (smoothness, (2, 9, 9), {}, ["(2, 9, 9)", "(N, K, H, W)"]),
        (bending_energy, (0, 2, 9, 9), {}, ["(0, 2, 9, 9)"]),
        (bending_energy, (1, 2, 5, 5), {"norm": "l3"}, ["norm", "'l3'", "squared"]),
        (smoothness, (1, 2, 5, 5), {"norm": "l3"}, ["norm", "'l3'", "squared"]),
        (smoothness, (1, 2, 5, 5), {"reduction": "max"}, ["reduction", "'max'", "mean"]),
        (bending_energy, (1, 2, 5, 5), {"form": "round"}, ["form", "'round'", "hessian"]),
    ],
)
def test_errors(penalty, shape, options, words):
    with pytest.raises(ValueError) as failure:
        penalty(np.zeros(shape), **options)
    assert all(word in str(failure.value) for word in [penalty.__name__, *words])


@pytest.mark.parametrize("penalty", [bending_energy, smoothness])
def test_dtypes_must_be_floating(penalty):
    with pytest.raises(TypeError, match=penalty.__name__):
        penalty(np.zeros((1, 2, 5, 5), int))
