"""The engine "network": the size of the images does not matter, what follows from its answer, bad checkpoints."""

import warnings

import numpy as np
import pytest
from scipy.ndimage import map_coordinates

import hstn_ref
from hstn_ref import models
from hstn_ref.alignment import optimised, split
from hstn_ref.errors import FileError

from .test_align import inside, moved, texture

THETA = np.array([1.05, 0.06, 0.08, -0.04, 0.97, -0.1], np.float32)


def saved(folder, *, size=(24, 32), theta=THETA, flow=(0.0, 0.0), **options):
    """A checkpoint of a network that finds the same motion in every pair."""
    model = models.HSTN("tiny", task="align", image_size=size, padding="same", **options)
    model.localisation.layers[-1].bias.data = theta
    model.flow_generator.output.bias.data = np.array(flow, np.float32)
    model.save(folder / "network.h5")
    return folder / "network.h5"


def expected(shape, size, flow=(0.0, 0.0)):
    """That motion in images of `shape`: the pixel at x is at (x + 1/2) w/W - 1/2 in the network's."""
    (H, W), (h, w) = shape, size
    y, x = np.mgrid[:H, :W]
    a, b, c, d, e, f = THETA.astype(float)
    u, v = 2 * ((x + 0.5) * w / W - 0.5) / (w - 1) - 1, 2 * ((y + 0.5) * h / H - 0.5) / (h - 1) - 1
    small = np.stack([(a * u + b * v + c - u) * (w - 1) / 2 + flow[0], (d * u + e * v + f - v) * (h - 1) / 2 + flow[1]])
    return small * np.reshape([W / w, H / h], (2, 1, 1))


def seen(source, motion):
    """What lies at p + motion(p) of source, by SciPy."""
    places = np.mgrid[: source.shape[1], : source.shape[2]][::-1] + motion
    return np.stack([map_coordinates(channel, places[::-1], order=1, mode="nearest") for channel in source])


@pytest.mark.parametrize("shape", [(24, 32), (80, 96), (33, 140), (16, 20)])
@pytest.mark.parametrize("channels", [1, 3])
def test_the_motion_is_led_back_to_the_size_of_the_images(tmp_path, shape, channels):
    path = saved(tmp_path, flow=(0.5, -0.25), channels=channels)
    for given in (1, 3):
        source, motion = texture(shape, given), expected(shape, (24, 32), (0.5, -0.25))
        found = hstn_ref.align(source, seen(source, motion), engine="network", checkpoint=path)
        np.testing.assert_allclose(found.motion, motion, atol=1e-3)
        assert found.warped.shape == source.shape


def test_the_unit_of_the_images_does_not_matter(tmp_path):
    path = saved(tmp_path)
    rng = np.random.default_rng(0)
    model = models.load(path)
    for parameter in model.parameters():
        parameter.data = parameter.data + 0.01 * rng.standard_normal(parameter.shape).astype(np.float32)
    model.save(path)
    source = texture((40, 40))
    target = seen(source, expected((40, 40), (24, 32)))
    answers = [
        hstn_ref.align(unit * source, unit * target, engine="network", checkpoint=path).motion for unit in (1, 1 / 255)
    ]
    np.testing.assert_allclose(*answers, atol=1e-4)


@pytest.mark.parametrize("engine", ["network", "brox"])
def test_the_optimisation_goes_on_from_there(tmp_path, engine):
    source, target, motion = moved(6, 1.03, (3, -2))
    options = {"checkpoint": saved(tmp_path)} if engine == "network" else {}
    steps = []
    found = hstn_ref.align(
        source, target, engine=engine, refine=True, progress=lambda done, total: steps.append((done, total)), **options
    )
    assert np.hypot(*inside(found.motion - motion)).mean() < 0.05
    of_flow = [step for step in steps if step[1] != steps[-1][1]]
    assert (not of_flow) == (engine == "network")
    assert all(done == total for done, total in of_flow[-1:])
    assert [done for done, _ in steps[len(of_flow) :]] == list(range(1, steps[-1][1] + 1))


def test_the_search_goes_on_near_the_answer():
    """Which says 72 degrees of 78, beyond what the search from everywhere reaches."""
    source, target, motion = moved(78, 1, (2, -1), (80, 80))
    start, _ = split(moved(72, 1, (0, 0), (80, 80))[2])
    theta, _ = optimised(source.astype(np.float32), target.astype(np.float32), start, None)
    np.testing.assert_allclose(theta, split(motion)[0], atol=1e-3)


def test_the_network_of_the_package_is_one_that_aligns():
    source, target, motion = moved(5, 1.05, (3, 2))
    coarse = hstn_ref.align(source, target, engine="network")
    error, before = (np.hypot(*inside(m)).mean() for m in (coarse.motion - motion, motion))
    assert error < before
    assert np.hypot(*inside(hstn_ref.align(source, target, engine="network", refine=True).motion - motion)).mean() < 0.1


def test_what_is_wrong_with_a_checkpoint(tmp_path):
    image = texture((32, 32))
    models.AffineSTN(image_size=(36, 36)).save(tmp_path / "classifier.h5")
    models.CNN(image_size=(36, 36)).save(tmp_path / "cnn.h5")
    (tmp_path / "broken.h5").write_bytes(b"no network")
    for name, error, message in (
        ("classifier.h5", ValueError, "holds the affine_stn of a classifier, expected one of the task 'align'"),
        ("cnn.h5", ValueError, "holds the cnn of a classifier"),
        ("broken.h5", ValueError, "is not a checkpoint"),
        ("missing.h5", FileError, "cannot read the checkpoint"),
    ):
        with pytest.raises(error, match=message):
            hstn_ref.align(image, image, engine="network", checkpoint=tmp_path / name)


@pytest.mark.parametrize(
    ("shift", "message"),
    [
        (1.5, r"only 2\d% of the target would lie inside .* \(residual .*, before .*; folds in "),
        (4, r"only 0% of the target would lie inside .* \(no residual; folds in "),
    ],
)
def test_nonsense_is_refused(tmp_path, shift, message):
    """A motion that leaves more than half of the target without source, or all of it."""
    path = saved(tmp_path, theta=np.array([1, 0, shift, 0, 1, 0], np.float32))
    with warnings.catch_warnings(), pytest.raises(ValueError, match=message):
        warnings.simplefilter("error")
        hstn_ref.align(texture((32, 32)), texture((32, 32), seed=1), engine="network", checkpoint=path)
