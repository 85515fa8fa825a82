"""The networks: sizes, identity at the start, gradients of the whole loss, options, bad input."""

import inspect

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from autodiff import Tensor, check, use
from autodiff.ops import bending_energy, smoothness
from hstn_ref.models import CNN, HSTN, MODELS, AffineSTN, FlowGenerator, build
from hstn_ref.models.options import KINDS

SMALL = {"image_size": (18, 15), "padding": "same"}


def digits(shape=(2, 1, 18, 15), seed=0, dtype=np.float64):
    """Smooth random images, so that samples between pixels mean something."""
    noise = np.random.default_rng(seed).random(shape)
    for axis in (2, 3):
        noise = (noise + np.roll(noise, 1, axis) + np.roll(noise, 2, axis)) / 3
    return noise.astype(dtype)


def away_from_the_start(model, seed=0, scale=0.05):
    """Random weights everywhere: no layer is zero and no sample lies at an integer position."""
    rng = np.random.default_rng(seed)
    for parameter in model.parameters():
        parameter.data = parameter.data + scale * rng.standard_normal(parameter.shape).astype(parameter.dtype)
    return model


def assert_slope_of_the_loss(model, inputs, voice, *, rtol):
    """One directional derivative through every op at once, in the direction of all parameters.

    The step h is small: relu, pooling, the sampler and the l1 norm have kinks all around.
    """
    parameters = model.parameters()
    start, h = [parameter.data for parameter in parameters], 1e-8
    rng = np.random.default_rng(3)
    direction = [rng.standard_normal(a.shape) for a in start]

    def along(t):
        for parameter, a, d in zip(parameters, start, direction, strict=True):
            parameter.data = a + t * d
        return model.loss(*inputs)

    with use(voice):
        along(0.0).backward()
        exact = sum(np.vdot(parameter.grad.data, d) for parameter, d in zip(parameters, direction, strict=True))
        assert_allclose((along(h).item() - along(-h).item()) / (2 * h), exact, rtol=rtol)


def count(module):
    return sum(parameter.size for parameter in module.parameters())


@pytest.mark.parametrize("model, parameters", [(CNN, 226_442), (AffineSTN, 263_358), (lambda: HSTN("paper"), 567_936)])
def test_parameter_counts_of_the_paper(model, parameters):
    assert count(model()) == parameters


@pytest.mark.parametrize("model, parameters", [(CNN, 423_050), (AffineSTN, 423_050 + 69_916)])
def test_parameter_counts_with_same_padding(model, parameters):
    assert count(model(padding="same")) == parameters


@pytest.mark.parametrize(
    "base, depth, convs, parameters",
    [(8, 2, 1, 13_506), (16, 2, 1, 53_378), (16, 2, 2, 76_514), (32, 2, 2, 304_578), (32, 3, 1, 900_866)],
)
def test_parameter_counts_of_the_flow_generator(base, depth, convs, parameters):
    assert count(FlowGenerator(1, base, depth, convs, rng=np.random.default_rng(0))) == parameters


@pytest.mark.parametrize("name", MODELS)
def test_images_of_another_precision_have_their_gradient(name):
    model = build(name, **SMALL).eval()
    narrow, wide = (Tensor(digits().astype(np.float32).astype(t), requires_grad=True) for t in (np.float32, np.float64))
    for images in (narrow, wide):
        logits = model(images)
        assert logits.dtype == np.float32
        logits.sum().backward()
    assert wide.grad.dtype == np.float64 and narrow.grad.data.any()
    assert_array_equal(wide.grad.data, narrow.grad.data)


def test_a_spatial_transformer_starts_as_the_identity():
    images = digits((2, 1, 60, 60), dtype=np.float32)
    for model in (AffineSTN(), HSTN("tiny")):
        stages = model.stages(images)
        assert_array_equal(stages["output"], images)
        assert not stages["motion"].any()
    assert_array_equal(stages["linear"], images)
    assert stages["flow"].shape == (2, 2, 60, 60)


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("image_size", [(18, 15), (17, 19), (16, 16)])
def test_odd_and_non_square_images(name, image_size):
    model = build(name, image_size=image_size, padding="same")
    images = digits((3, 1, *image_size), dtype=np.float32)
    outputs, loss = model.outputs_and_loss(images, [0, 3, 9])
    logits = outputs.result
    assert logits.shape == (3, 10) and logits.dtype == np.float32 and loss.shape == ()
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@pytest.mark.parametrize("down, crop", [("pool", "last"), ("pool", "first"), ("conv", "last"), ("conv", "first")])
@pytest.mark.parametrize("size", [(4, 4), (5, 7), (6, 9), (15, 60)])
def test_flow_generator_keeps_the_size(down, crop, size):
    flow = FlowGenerator(1, 2, 2, 1, down=down, crop=crop, rng=np.random.default_rng(0))
    assert flow(Tensor(digits((1, 1, *size), dtype=np.float32))).shape == (1, 2, *size)


def test_hstn_warps_once_by_the_sum_of_both_motions():
    model = away_from_the_start(HSTN("tiny", **SMALL, dtype=np.float64).eval())
    images = digits()
    stages = model.stages(images)
    theta = model.localisation(Tensor(images)).data
    from hstn_ref.motion import affine_motion

    assert_allclose(stages["motion"], affine_motion(theta, (18, 15)).data + stages["flow"], atol=1e-12)
    assert abs(stages["flow"]).max() > 0.01 and abs(stages["motion"] - stages["flow"]).max() > 0.01


def test_hstn_loss_is_cross_entropy_plus_the_penalty():
    model = away_from_the_start(HSTN("tiny", **SMALL, dtype=np.float64, alpha=0.5, beta=0.25).eval())
    images, labels = digits(), np.array([3, 7])
    logits = model(images).data
    p = np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)
    w = Tensor(model.stages(images)["flow"])
    penalty = 0.5 * bending_energy(w, norm="l1").item() + 0.25 * smoothness(w, norm="l1").item()
    assert penalty > 0
    assert_allclose(model.loss(images, labels).item(), -np.log(p[[0, 1], labels]).mean() + penalty, rtol=1e-10)


@pytest.mark.parametrize("voice", ["reference", "cpu"])
@pytest.mark.parametrize("options", [{}, {"combine": "compose", "crop": "first"}, {"down": "conv", "norm": "squared"}])
def test_gradient_of_the_whole_hstn_loss(voice, options):
    model = away_from_the_start(HSTN("tiny", image_size=(8, 8), padding="same", dtype=np.float64, **options).eval())
    assert_slope_of_the_loss(model, (digits((2, 1, 8, 8)), np.array([1, 8])), voice, rtol=1e-5)


def test_all_voices_compute_the_same_network():
    images, labels = digits((2, 1, 20, 20)), np.array([1, 8])
    losses, gradients = [], []
    for voice in ("reference", "cpu"):
        model = away_from_the_start(HSTN("tiny", image_size=(20, 20), padding="same", dtype=np.float64).eval())
        with use(voice):
            loss = model.loss(images, labels)
            loss.backward()
        losses.append(loss.item())
        gradients.append([parameter.grad.data for parameter in model.parameters()])
    assert_allclose(losses[0], losses[1], rtol=1e-12)
    for a, b in zip(*gradients, strict=True):
        assert_allclose(a, b, rtol=1e-9, atol=1e-12)


def test_detaching_the_first_warp_cuts_one_route_of_the_gradient():
    gradients = []
    for detach in (False, True):
        model = HSTN("tiny", **SMALL, dtype=np.float64, detach_first_warp=detach, dropout=0.0)
        away_from_the_start(model).loss(digits(), [1, 2]).backward()
        gradients.append(next(model.localisation.named_parameters())[1].grad.data)
    assert abs(gradients[0] - gradients[1]).max() > 1e-9


def test_the_same_seed_gives_the_same_network():
    a, b, c = HSTN("tiny", rng=5).state(), HSTN("tiny", rng=5).state(), HSTN("tiny", rng=6).state()
    assert all((a[name] == b[name]).all() for name in a)
    assert any((a[name] != c[name]).any() for name in a)


def test_dropout_only_while_training():
    model = CNN(**SMALL)
    images = digits(dtype=np.float32)
    assert (model(images).data != model(images).data).any()
    model.eval()
    assert_array_equal(model(images).data, model(images).data)


def test_options_build_the_same_network_again():
    model = HSTN("tiny", image_size=(18, 15), padding="same", norm="l2", combine="compose", crop="first")
    again = build(model.name, **model.options)
    assert again.options == model.options
    again.load_state(model.state())
    images = digits(dtype=np.float32)
    assert_array_equal(again.eval()(images).data, model.eval()(images).data)


def test_localisation_weights_go_from_affine_stn_to_hstn():
    affine, model = away_from_the_start(AffineSTN(**SMALL)), HSTN("tiny", **SMALL)
    model.localisation.load_state(affine.localisation.state())
    images = digits(dtype=np.float32)
    assert_array_equal(model.stages(images)["linear"], affine.stages(images)["output"])


def test_second_order_through_the_spatial_transformer():
    """The Hessian of an Affine-STN's loss in its last bias, theta of every image."""
    model = away_from_the_start(AffineSTN(image_size=(8, 8), padding="same", dtype=np.float64).eval(), scale=0.1)
    images, last = digits((1, 1, 8, 8)), model.localisation.layers[-1]

    def loss(bias):
        last.bias = bias
        return model.loss(images, [4])

    results = check.second_order(loss, last.bias.data.copy(), eps=1e-6)
    assert all(result.passed for result in results)


@pytest.mark.parametrize(
    "call, error, message",
    [
        (lambda: CNN()(np.zeros((2, 3, 60, 60))), ValueError, r"CNN: images \(2, 3, 60, 60\), expected \(N, 1, 60"),
        (lambda: CNN()(np.zeros((0, 1, 60, 60))), ValueError, "CNN: empty batch"),
        (lambda: CNN()(np.zeros((1, 1, 60, 60), np.uint8)), TypeError, "images have dtype uint8, expected floating"),
        (lambda: CNN()(np.zeros((1, 1, 60, 60), complex)), TypeError, "images have dtype complex128"),
        (lambda: CNN(image_size=(20, 20)), ValueError, r"CNN: images \(20, 20\) are too small"),
        (lambda: CNN(padding="full"), ValueError, "CNN: padding is 'full', expected one of valid, same"),
        (lambda: CNN(dtype=np.int32), TypeError, "CNN: dtype int32, expected float32 or float64"),
        (lambda: HSTN("huge"), ValueError, "HSTN: preset is 'huge', expected one of tiny, small, paper"),
        (lambda: HSTN("tiny", norm="l3"), ValueError, "HSTN: norm is 'l3', expected one of l1, l2, squared"),
        (lambda: AffineSTN(border="wrap"), ValueError, "AffineSTN: border is 'wrap'"),
        (lambda: HSTN("tiny", combine="mix"), ValueError, "HSTN: combine is 'mix'"),
        (lambda: HSTN("tiny", crop="middle"), ValueError, "HSTN: crop is 'middle', expected one of last, first"),
        (lambda: HSTN("tiny", **SMALL, depth=4), ValueError, r"HSTN: depth is 4, expected .* of images \(18, 15\)"),
        (lambda: build("hsnt"), ValueError, "unknown model 'hsnt', expected one of .*did you mean 'hstn'"),
        (lambda: build("cnn", alpha=1), ValueError, "cnn has no option alpha"),
        (lambda: CNN().loss(np.zeros((1, 1, 60, 60)), [10]), ValueError, "label 10 at position 0, expected 0 to 9"),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call()


@pytest.mark.parametrize("name", MODELS)
def test_every_option_has_a_kind(name):
    assert inspect.signature(MODELS[name]).parameters.keys() - {"dtype", "rng"} <= KINDS.keys()


WRONG = {
    "channels": [0, 1.0, True, "1"],
    "classes": [0, 2.5, False],
    "steps": [0, -1, 2.0, "two", True],
    "depth": [0, 2.0, "2"],
    "image_size": [36, (36,), (36, 0), (36, 36.0), (36, True), "36", (36, 36, 1)],
    "grid": [4, (4,), (1, 4), (4, 4.0), "44"],
    "dropout": [1, 1.5, -0.1, "high", True, float("nan")],
    "alpha": [-1, "x", float("inf"), float("nan"), True],
    "beta": [-1e-9, "x", float("-inf"), None],
    "detach_first_warp": ["False", 0, 1, None],
    "preset": [1, ["tiny"], "huge"],
    "task": [None, "find"],
}
EXPECTED = {
    **dict.fromkeys(("channels", "classes", "steps", "depth"), "an integer of at least 1"),
    **dict.fromkeys(("alpha", "beta"), "a finite number of at least 0"),
    "image_size": "height and width, two integers of at least 1",
    "grid": "rows and columns, two integers of at least 2",
    "dropout": "a number of at least 0 and less than 1",
    "detach_first_warp": "true or false",
    "preset": "one of tiny, small, paper",
    "task": "one of classify, align",
}


@pytest.mark.parametrize("name", MODELS)
def test_a_value_of_another_kind_is_one_sentence(name):
    tried = WRONG.keys() & inspect.signature(MODELS[name]).parameters.keys()
    assert {"channels", "classes", "image_size", "dropout"} <= tried
    for option in tried:
        for value in WRONG[option]:
            with pytest.raises(ValueError) as caught:
                build(name, **{option: value})
            said = f"{MODELS[name].__name__}: {option} is {value!r}, expected {EXPECTED[option]}"
            assert str(caught.value) == said


@pytest.mark.parametrize(
    "options",
    [
        {"alpha": 0, "beta": 0, "dropout": 0, "depth": np.int64(1), "image_size": [16, 20], "padding": "same"},
        {"alpha": np.float32(0.5), "dropout": 0.999, "detach_first_warp": True, "classes": 1},
    ],
)
def test_the_ends_of_the_ranges_are_in_them(options):
    assert build("hstn", preset="tiny", **options).options.items() >= options.items()
