"""The networks that align: what they see, the identity at the start, the loss, gradients, files, bad input."""

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal
from scipy.ndimage import map_coordinates

from autodiff import Tensor
from hstn_ref import models
from hstn_ref.errors import DataError
from hstn_ref.models import CSTN, HSTN, MODELS, AffineSTN, build

from .test_models import assert_slope_of_the_loss, away_from_the_start, count, digits

ALIGNERS = {"affine_stn": {}, "tps_stn": {}, "c_stn": {"steps": 2}, "ic_stn": {"steps": 2}, "hstn": {"preset": "tiny"}}
every_aligner = pytest.mark.parametrize("name", ALIGNERS)


def aligner(name, image_size=(18, 15), *, padding="same", dtype=np.float64, **options):
    options = {"padding": padding, "dtype": dtype, **ALIGNERS[name], **options}
    return build(name, task="align", image_size=image_size, **options)


def moved(name, image_size=(18, 15), scale=0.01, **options):
    """A network with random weights; what it sees has unit variance, so smaller ones than a classifier's do."""
    return away_from_the_start(aligner(name, image_size, **options), scale=scale)


def pair(image_size=(18, 15), channels=1, count=2, dtype=np.float64):
    shape = (count, channels, *image_size)
    return digits(shape, 1, dtype), digits(shape, 2, dtype)


def read_at(images, motion):
    """images (N, C, H, W) at p + motion(p), by SciPy; zeros outside."""
    y, x = np.mgrid[: images.shape[2], : images.shape[3]]
    return np.stack(
        [
            [map_coordinates(c, (y + v, x + u), order=1, mode="grid-constant", cval=0.0) for c in image]
            for image, (u, v) in zip(images, motion, strict=True)
        ]
    )


def test_every_network_but_the_cnn_aligns():
    assert [*ALIGNERS] == [name for name in MODELS if name != "cnn"]


@every_aligner
@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize(("size", "padding"), [((40, 47), "valid"), ((17, 22), "same"), ((16, 24), "same")])
def test_any_size_grey_and_colour(name, channels, size, padding):
    model = aligner(name, size, padding=padding, channels=channels, dtype=np.float32)
    source, target = pair(size, channels, count=3, dtype=np.float32)
    warped, motion, loss = model(source, target), model.motion(source, target), model.loss(source, target)
    assert (warped.shape, motion.shape, loss.shape) == (source.shape, (3, 2, *size), ())
    assert {warped.dtype, motion.dtype, loss.dtype} == {np.dtype(np.float32)}
    loss.backward()
    assert all(parameter.grad is not None for parameter in model.parameters())


@every_aligner
@pytest.mark.parametrize("coords", ["normalised", "isotropic", "pixel"])
def test_an_aligner_starts_as_the_identity(name, coords):
    source, target = pair((40, 47), dtype=np.float32)
    model = aligner(name, (40, 47), coords=coords, dtype=np.float32)
    assert not model.motion(source, target).data.any()
    assert_array_equal(model(source, target).data, source)
    assert_allclose(model.loss(source, target).item(), np.mean((source - target) ** 2.0), rtol=1e-5)


@every_aligner
def test_the_source_is_read_at_the_motion(name):
    model = moved(name)
    source, target = pair()
    motion = model.motion(source, target).data
    assert 0.02 < motion.std() < 5
    assert_allclose(model(source, target).data, read_at(source, motion), atol=1e-12)
    stages = model.stages(source, target)
    for stage, expected in (("input", source), ("target", target), ("motion", motion)):
        assert_array_equal(stages[stage], expected)
    assert_array_equal(stages["output"], model(source, target).data)


@every_aligner
def test_the_loss_is_the_mean_squared_difference_plus_the_penalty(name):
    model = moved(name, **({"beta": 300.0} if name == "hstn" else {}))
    source, target = pair()
    difference = np.mean((model(source, target).data - target) ** 2)
    rest = 0.0
    if name == "hstn":  # (7) with the weights 0.01 and 300, by differences
        w = model.stages(source, target)["flow"]
        parts = ((2, np.s_[..., 1:-1]), (3, np.s_[..., 1:-1, :]))
        laplacian = sum(np.diff(w, 2, axis=axis)[inner] for axis, inner in parts)
        gradient = sum(abs(np.diff(w, axis=axis)).sum(axis=1).mean() for axis in (2, 3))
        rest = (0.01 * abs(laplacian).sum(axis=1).mean() + 300 * gradient) / 255**2  # the weights are for grey levels
        assert rest > 1e-3 * difference
    assert_allclose(model.loss(source, target).item(), difference + rest, rtol=1e-10)


@every_aligner
def test_brightness_and_contrast_of_a_pair_do_not_matter(name):
    """Equation (9), but for its grey level, with the edge continued: zeros outside are not brightened."""
    model = moved(name, border="edge")
    source, target = pair()
    motion = model.motion(source, target).data
    assert_allclose(model.motion(0.5 * source + 0.3, 0.5 * target + 0.3).data, motion, rtol=0.02, atol=0.01)
    assert abs(model.motion(target, source).data - motion).max() > 0.05


def seen(image, target):
    """Equation (9), a pair at a time."""
    pairs = zip(image, target, strict=True)
    return Tensor(np.stack([(np.concatenate(p) - p[1].mean()) / np.sqrt(p[1].var() + 255.0**-2) for p in pairs]))


def test_each_step_of_a_cascade_sees_its_own_result_beside_the_target():
    model = moved("c_stn")
    source, target = pair()
    stages = model.stages(source, target)
    matrices = [
        np.stack([np.vstack([t.reshape(2, 3), [0, 0, 1]]) for t in predictor(seen(image, target)).data])
        for predictor, image in zip(model.localisation, (source, stages["step 1"]), strict=True)
    ]
    theta = (matrices[0] @ matrices[1])[:, :2].reshape(2, 6)
    from hstn_ref.motion import affine_motion

    assert abs(stages["step 1"] - source).max() > 0.01
    assert_allclose(stages["motion"], affine_motion(theta, (18, 15)).data, atol=1e-10)


def test_the_flow_generator_sees_the_linearly_warped_source_beside_the_target():
    model = moved("hstn")
    source, target = pair()
    stages = model.stages(source, target)
    assert abs(stages["linear"] - source).max() > 0.01
    assert_allclose(stages["flow"], model.flow_generator(seen(stages["linear"], target)).data, atol=1e-10)


@pytest.mark.parametrize("voice", ["reference", "cpu"])
@every_aligner
def test_gradient_of_the_whole_loss(name, voice):
    assert_slope_of_the_loss(moved(name, (8, 9), scale=0.03), pair((8, 9)), voice, rtol=1e-5)


def test_gradients_reach_source_and_target():
    model = moved("hstn")
    source, target = (Tensor(x, requires_grad=True) for x in pair())
    model.loss(source, target).backward()
    assert abs(source.grad.data).max() > 0 and abs(target.grad.data).max() > 0


def test_a_constant_target_has_a_finite_gradient():
    model = moved("affine_stn")
    source, _ = pair()
    target = Tensor(np.full_like(source, 0.5), requires_grad=True)
    model.loss(source, target).backward()
    assert np.isfinite(target.grad.data).all()


@pytest.mark.parametrize(
    ("size", "options", "depth"),
    [((64, 64), {}, 3), ((60, 60), {}, 2), ((64, 60), {}, 2), ((128, 72), {}, 3), ((64, 64), {"depth": 1}, 1)],
)
def test_the_depth_fits_the_size(size, options, depth):
    model = build("hstn", task="align", preset="tiny", image_size=size, **options)
    assert len(model.flow_generator.down) == depth
    assert len(build("hstn", preset="tiny", image_size=size).flow_generator.down) == 2


def test_parameters_of_the_paper_at_64():
    """The count for one channel in, and nine more weights for each of the 32 filters of the first layer."""
    model = build("hstn", task="align", image_size=(64, 64))
    assert count(model.flow_generator) == 1_288_386 + 32 * 9
    assert count(model) == count(model.flow_generator) + count(model.localisation)


@every_aligner
def test_a_file_brings_the_network_back(name, tmp_path):
    model = moved(name, channels=3, border="edge", dtype=np.float32)
    model.save(tmp_path / "a.h5")
    again = models.load(tmp_path / "a.h5")
    assert (again.task, again.name, again.options) == ("align", name, model.options)
    source, target = pair(channels=3, dtype=np.float32)
    assert_array_equal(again.motion(source, target).data, model.motion(source, target).data)


def test_a_file_of_a_classifier_says_nothing_of_tasks():
    """As before there were two: files of then and now have the same options."""
    assert "task" not in AffineSTN().options and "depth" not in HSTN("tiny").options
    assert not {"classes", "dropout"} & AffineSTN(task="align").options.keys()


def test_an_affine_aligner_begins_hstn():
    affine, model = moved("affine_stn"), aligner("hstn")
    model.localisation.load_state(affine.localisation.state())
    assert_array_equal(model.stages(*pair())["linear"], affine(*pair()).data)


def test_a_classifier_tells_its_motion():
    model = away_from_the_start(AffineSTN(image_size=(18, 15), padding="same", dtype=np.float64))
    assert_array_equal(model.motion(digits()).data, model.stages(digits())["motion"])


@pytest.mark.parametrize(
    ("call", "error", "message"),
    [
        (lambda m, s, t: m(s), TypeError, "AffineSTN: 1 inputs, expected source and target, its task is 'align'"),
        (lambda m, s, t: m(s, t, t), TypeError, "AffineSTN: 3 inputs, expected source and target"),
        (lambda m, s, t: m(s, t[:1]), ValueError, r"source \(2, 1, 18, 15\) and target \(1, 1, 18, 15\), expected one"),
        (lambda m, s, t: m.loss(s, t[:, :, 1:]), ValueError, r"images \(2, 1, 17, 15\), expected \(N, 1, 18, 15\)"),
        (lambda m, s, t: m.motion(s[:0], t[:0]), ValueError, "AffineSTN: empty batch"),
        (lambda m, s, t: m.stages(s, t.astype(int)), TypeError, "images have dtype int64"),
        (lambda m, s, t: AffineSTN()(s, t), TypeError, "AffineSTN: 2 inputs, expected images, its task is 'classify'"),
        (lambda m, s, t: AffineSTN(task="find"), ValueError, "task is 'find', expected one of classify, align"),
        (lambda m, s, t: build("cnn", task="align"), ValueError, "cnn has no option task"),
        (lambda m, s, t: HSTN("tiny", depth=0), ValueError, "HSTN: depth is 0, expected an integer"),
        (lambda m, s, t: CSTN(task="align", image_size=(30, 30)), ValueError, r"\(30, 30\) are too small .*\"same\""),
    ],
)
def test_bad_input(call, error, message):
    with pytest.raises(error, match=message):
        call(aligner("affine_stn"), *pair())


def test_a_file_with_weights_of_another_task(tmp_path):
    from hstn_ref import checkpoint

    stored = checkpoint.Checkpoint.of(AffineSTN(image_size=(18, 15), padding="same"))
    stored.options = aligner("affine_stn").options
    checkpoint.write(stored, tmp_path / "a.h5")
    with pytest.raises(DataError, match=r"a\.h5: .*the state has unexpected classifier"):
        models.load(tmp_path / "a.h5")
