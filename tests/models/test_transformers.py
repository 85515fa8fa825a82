"""TPS-STN, C-STN and IC-STN: sizes, the identity at the start, their recurrence by hand, gradients, options."""

import json

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import map_coordinates

from autodiff import Tensor
from hstn_ref.models import CSTN, HSTN, ICSTN, MODELS, TABLE_1, TPSSTN, AffineSTN, build
from hstn_ref.motion import tps_motion

from .test_models import assert_slope_of_the_loss, away_from_the_start, count, digits

SMALL = {"image_size": (18, 15), "padding": "same", "dtype": np.float64}


@pytest.mark.parametrize(
    "model, valid, same",
    [
        (TPSSTN, 586_128, 1_194_384),
        (lambda **options: CSTN(2, **options), 73_832, 139_832),
        (CSTN, 147_664, 279_664),
        (lambda **options: ICSTN(2, **options), 36_916, 69_916),
        (ICSTN, 36_916, 69_916),
    ],
)
def test_parameter_counts_of_the_localisation_networks(model, valid, same):
    for network, parameters in ((model(), valid), (model(padding="same"), same)):
        assert count(network) == count(network.classifier) + parameters


def test_the_rows_of_table_1():
    networks = {title: build(name, **options) for title, (name, options) in TABLE_1.items()}
    assert {title: network.title for title, network in networks.items()} == {title: title for title in TABLE_1}
    assert {network.name for network in networks.values()} == set(MODELS)
    assert {title: count(network) for title, network in networks.items()} == {
        "cnn": 226_442,
        "affine_stn": 263_358,
        "tps_stn": 812_570,
        "c_stn_2": 300_274,
        "c_stn_4": 374_106,
        "ic_stn_2": 263_358,
        "ic_stn_4": 263_358,
        "hstn": 567_936,
    }


@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
@pytest.mark.parametrize("model", [TPSSTN, CSTN, ICSTN])
def test_a_spatial_transformer_starts_as_the_identity(model, coords):
    images = digits((2, 1, 60, 47), dtype=np.float32)
    stages = model(image_size=(60, 47), coords=coords).stages(images)
    assert not stages.pop("motion").any()
    assert list(stages) == ["input", *([] if model is TPSSTN else ["step 1", "step 2", "step 3"]), "output"]
    for stage in stages.values():
        assert_array_equal(stage, images)


# The recurrence


def predicted(predictor, images):
    """The matrices (N, 3, 3) that a localisation network finds in images."""
    theta = predictor(Tensor(images)).data
    return np.stack([np.vstack([t.reshape(2, 3), [0, 0, 1]]) for t in theta])


def warped(images, matrices):
    """Images (N, 1, H, W) read at M (x, y, 1), in normalised coordinates, by SciPy; zeros outside."""
    _, _, H, W = images.shape
    y, x = np.mgrid[-1 : 1 : H * 1j, -1 : 1 : W * 1j]
    result = []
    for image, M in zip(images[:, 0], matrices, strict=True):
        X, Y, _ = np.einsum("ij,jhw->ihw", M, np.stack([x, y, np.ones_like(x)]))
        at = (Y + 1) / 2 * (H - 1), (X + 1) / 2 * (W - 1)
        result.append(map_coordinates(image, at, order=1, mode="grid-constant", cval=0.0))
    return np.stack(result)[:, None]


@pytest.mark.parametrize("compose", ["right", "left"])
@pytest.mark.parametrize("model", [CSTN, ICSTN])
@pytest.mark.parametrize("steps", [1, 3])
def test_steps_compose_matrices_and_warp_the_original_image(model, compose, steps):
    network = away_from_the_start(model(steps, compose=compose, **SMALL).eval())
    images = digits()
    stages = network.stages(images)
    M, seen = np.stack([np.eye(3)] * 2), images
    for k in range(steps):
        step = predicted(network.localisation[k] if model is CSTN else network.localisation, seen)
        assert abs(step - np.eye(3)).max() > 0.05
        M = M @ step if compose == "right" else step @ M
        seen = warped(images, M)
        assert_allclose(stages["output" if k == steps - 1 else f"step {k + 1}"], seen, atol=1e-9)
    assert_allclose(network(images).data, network.classifier(Tensor(seen)).data, atol=1e-9)


def test_the_order_of_composition_matters():
    right, left = (away_from_the_start(CSTN(2, compose=compose, **SMALL).eval()) for compose in ("right", "left"))
    assert_array_equal(right.stages(digits())["step 1"], left.stages(digits())["step 1"])
    assert abs(right.stages(digits())["output"] - left.stages(digits())["output"]).max() > 1e-3


@pytest.mark.parametrize("model", [CSTN, ICSTN])
def test_one_step_is_the_affine_stn(model):
    affine = away_from_the_start(AffineSTN(**SMALL).eval())
    network = model(1, **SMALL).eval()
    prefix = {CSTN: "localisation.0.", ICSTN: "localisation."}[model]
    network.load_state({name.replace("localisation.", prefix): a for name, a in affine.state().items()})
    assert_array_equal(network(digits()).data, affine(digits()).data)


def test_the_gradient_of_shared_steps_is_the_sum_over_separate_ones():
    """An IC-STN is a C-STN whose localisation networks have the same weights."""
    shared = away_from_the_start(ICSTN(3, **SMALL).eval())
    separate = CSTN(3, **SMALL).eval()
    for predictor in separate.localisation:
        predictor.load_state(shared.localisation.state())
    separate.classifier.load_state(shared.classifier.state())
    for network in (shared, separate):
        network.loss(digits(), [3, 7]).backward()
    for name, parameter in shared.localisation.named_parameters():
        parts = [dict(predictor.named_parameters())[name].grad.data for predictor in separate.localisation]
        assert all(abs(part).max() > 0 for part in parts)
        assert_allclose(parameter.grad.data, sum(parts), rtol=1e-9, atol=1e-12)


def test_tps_stn_warps_by_the_spline_of_its_offsets():
    network = away_from_the_start(TPSSTN(grid=(3, 5), coords="isotropic", **SMALL).eval(), scale=0.02)
    offsets = network.localisation(Tensor(digits())).data
    assert offsets.shape == (2, 30) and abs(offsets).max() > 0.01
    motion = tps_motion(offsets.reshape(2, 2, 3, 5), (18, 15), coords="isotropic").data
    assert_array_equal(network.stages(digits())["motion"], motion)


# As parts of the whole


@pytest.mark.parametrize("voice", ["reference", "cpu"])
@pytest.mark.parametrize("model", [TPSSTN, lambda **o: CSTN(2, **o), lambda **o: ICSTN(3, compose="left", **o)])
def test_gradient_of_the_whole_loss(voice, model):
    network = model(image_size=(8, 9), padding="same", dtype=np.float64).eval()
    away_from_the_start(network, scale=0.03)
    assert_slope_of_the_loss(network, (digits((2, 1, 8, 9)), np.array([1, 8])), voice, rtol=1e-6)


@pytest.mark.parametrize(
    "network",
    [
        TPSSTN(grid=(2, 3), image_size=(18, 15), padding="same", border="edge"),
        CSTN(3, compose="left", image_size=(18, 15), padding="same"),
        ICSTN(2, coords="isotropic", image_size=(18, 15), padding="same"),
    ],
)
def test_options_build_the_same_network_again(network):
    again = build(network.name, **json.loads(json.dumps(network.options)))
    assert again.options == network.options
    again.load_state(away_from_the_start(network).state())
    images = digits(dtype=np.float32)
    assert_array_equal(again.eval()(images).data, network.eval()(images).data)


def test_an_ic_stn_begins_hstn():
    """Its one localisation network has the names and shapes of the others'."""
    source, model = away_from_the_start(ICSTN(2, **SMALL)), HSTN("tiny", **SMALL)
    model.localisation.load_state(source.localisation.state())
    assert_array_equal(model.stages(digits())["linear"], source.stages(digits())["step 1"])


@pytest.mark.parametrize(
    "call, message",
    [
        (lambda: CSTN(0), "CSTN: steps is 0, expected an integer of at least 1"),
        (lambda: ICSTN(-1), "ICSTN: steps is -1, expected an integer"),
        (lambda: CSTN(compose="up"), "CSTN: compose is 'up', expected one of right, left"),
        (
            lambda: TPSSTN(grid=(1, 4)),
            r"TPSSTN: grid is \(1, 4\), expected rows and columns, two integers",
        ),
        (lambda: TPSSTN(grid=(4,)), r"TPSSTN: grid is \(4,\), expected"),
        (lambda: TPSSTN(coords="polar"), "TPSSTN: coords is 'polar'"),
        (
            lambda: TPSSTN(image_size=(60, 35)),
            r"TPSSTN: images \(60, 35\) are too small for 3 times \[3x3 convolution x 2",
        ),
        (lambda: build("c_stm"), "unknown model 'c_stm', expected one of .*did you mean 'c_stn'"),
        (lambda: build("tps_stn", steps=2), "tps_stn has no option steps"),
    ],
)
def test_bad_input(call, message):
    with pytest.raises(ValueError, match=message):
        call()
