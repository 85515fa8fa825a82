"""align: motions known in advance, what follows from them, and images that cannot be aligned."""

import subprocess
import sys
import warnings
from pathlib import Path

import numpy as np
import pytest
from scipy.ndimage import gaussian_filter, map_coordinates

import hstn_ref
from autodiff import Tensor, no_grad
from hstn_ref.alignment import Alignment, split
from hstn_ref.alignment.light import light
from hstn_ref.alignment.refinement import refined
from hstn_ref.alignment.search import energy
from hstn_ref.data import load_photographs, random_pair, to_grey

ROOT = Path(__file__).parents[2]


def texture(shape, channels=1, seed=0):
    """Smooth noise, grey levels 0..255, float64."""
    rng = np.random.default_rng(seed)
    noise = [gaussian_filter(rng.standard_normal(shape), s, mode="wrap") * s for s in (2, 6) for _ in range(channels)]
    image = np.stack([noise[c] + noise[channels + c] for c in range(channels)])
    return 255 * (image - image.min()) / (image.max() - image.min())


def moved(angle, scale, shift, shape=(80, 96), channels=1):
    """A pair and its motion: target(p) = source(p + motion(p)), by SciPy's cubic splines from a larger canvas."""
    (H, W), margin = shape, 60
    canvas = texture((H + 2 * margin, W + 2 * margin), channels)
    y, x = np.mgrid[:H, :W].astype(float)
    c, s = scale * np.cos(np.deg2rad(angle)), scale * np.sin(np.deg2rad(angle))
    u, v = x - (W - 1) / 2, y - (H - 1) / 2
    motion = np.stack([c * u - s * v - u + shift[0], s * u + c * v - v + shift[1]])
    at = (y + motion[1] + margin, x + motion[0] + margin)
    target = np.stack([map_coordinates(plane, at, order=3) for plane in canvas])
    return canvas[:, margin:-margin, margin:-margin], target, motion


def inside(array, margin=12):
    return array[..., margin:-margin, margin:-margin]


@pytest.mark.parametrize(
    "angle, scale, shift", [(0, 1, (7.25, -4.5)), (25, 1, (0, 0)), (-25, 0.9, (5, 6)), (0, 1, (0, 0))]
)
def test_a_known_affine_motion_is_found(angle, scale, shift):
    source, target, motion = moved(angle, scale, shift)
    found = hstn_ref.align(source, target)
    error = np.hypot(*inside(found.motion - motion))
    assert error.mean() < 0.05  # pixels; half of it is bilinear reading in the search
    assert error.max() < 0.3
    np.testing.assert_allclose(found.matrix[:, :2], np.eye(2) + slopes(motion), atol=0.02)
    assert found.folding == 0
    assert found.residual < 0.05 * found.residual_before + 0.5


@pytest.mark.parametrize("contrast, brightness", [(0.5, 0), (0.5, 120), (1.6, -40)])
def test_another_light_costs_nothing(contrast, brightness):
    source, target, motion = moved(10, 1.05, (4, -3), channels=3)
    found = hstn_ref.align(source, contrast * target + brightness)
    assert np.hypot(*inside(found.motion - motion)).mean() < 0.05
    assert found.light[0] == pytest.approx(contrast, abs=0.03)  # warping smooths a little, which lowers contrast
    assert found.light[1] == pytest.approx(brightness, abs=3)


def test_light_is_found_where_half_does_not_match():
    """And is the identity where nothing changed, however different the other half is."""
    rng = np.random.default_rng(0)
    s = rng.uniform(0, 255, (2, 1, 400))
    t = np.array([1.2, 1]).reshape(2, 1, 1) * s + np.array([-7, 0]).reshape(2, 1, 1)
    m = np.ones((2, 1, 400))
    m[..., :100] = 0
    t[..., :100], t[..., 100:200] = 0, s[..., 100:200][..., ::-1]
    a, b = light(s, t, m, rounds=12)
    np.testing.assert_allclose(a[:, 0, 0], [1.2, 1], atol=0.02)
    np.testing.assert_allclose(b[:, 0, 0], [-7, 0], atol=2)
    a, b = light(s, t, m, rounds=1)
    seen = (s[1, 0, 100:], t[1, 0, 100:])
    assert a[1, 0, 0] == pytest.approx(seen[1].std() / seen[0].std())
    assert b[1, 0, 0] == pytest.approx(seen[1].mean() - a[1, 0, 0] * seen[0].mean())


def slopes(motion):
    """The linear part of an affine motion less 1, from its differences."""
    return np.stack([motion[:, 0, 1] - motion[:, 0, 0], motion[:, 1, 0] - motion[:, 0, 0]], axis=1)


@pytest.fixture(scope="module")
def elastic():
    photograph = to_grey(load_photographs()["astronaut"])
    pair = random_pair(photograph, (96, 112), np.random.default_rng(3))
    return pair, hstn_ref.align(pair.source, pair.target)


def test_affine_plus_elastic_is_found(elastic):
    pair, found = elastic
    assert np.hypot(*inside(found.motion - pair.motion, 20)).mean() < 0.25
    assert np.hypot(*inside(found.inverse - pair.inverse, 24)).mean() < 0.3


def test_the_inverse_comes_back(elastic):
    """inverse after motion, read by SciPy: below 0.01 pixels away from the border."""
    _, found = elastic
    y, x = np.mgrid[: found.shape[0], : found.shape[1]].astype(float)
    b = found.inverse.astype(float)
    at = (y + b[1], x + b[0])
    back = b + np.stack([map_coordinates(plane.astype(float), at, order=1, mode="nearest") for plane in found.motion])
    assert np.hypot(*inside(back, 24)).max() < 0.01


def test_points_go_there_and_back(elastic):
    pair, found = elastic
    q = np.random.default_rng(0).uniform(30, 66, (50, 2))
    p = found.warp_points(q)
    np.testing.assert_allclose(found.warp_points(p, to="source"), q, atol=1e-4)
    x, y = np.rint(q).astype(int).T
    there = np.rint(q) + pair.inverse[:, y, x].T
    assert np.hypot(*(found.warp_points(np.rint(q)) - there).T).max() < 0.6


def test_points_follow_the_image():
    source, target, _ = moved(0, 1, (5, -3))
    found = hstn_ref.align(source, target)
    np.testing.assert_allclose(found.warp_points([[40, 40]]), [[35, 43]], atol=0.1)
    np.testing.assert_allclose(found.warp_points([[35, 43]], to="source"), [[40, 40]], atol=0.1)


def test_a_result_says_the_same_in_every_way(elastic):
    pair, found = elastic
    y, x = np.mgrid[: found.shape[0], : found.shape[1]].astype(float)
    affine = np.einsum("ij,jhw->ihw", found.matrix, np.stack([x, y, np.ones_like(x)])) - np.stack([x, y])
    np.testing.assert_allclose(found.motion, affine + found.flow, atol=1e-4)
    read = map_coordinates(
        pair.source[0].astype(float), (y + found.motion[1], x + found.motion[0]), order=1, mode="nearest"
    )
    np.testing.assert_allclose(found.warped[0], read, atol=0.01)
    np.testing.assert_array_equal(found.warp(pair.source[0]), found.warped[0])
    px, py = x + found.motion[0], y + found.motion[1]
    outside = (px < 0) | (py < 0) | (px > x.max()) | (py > y.max())
    np.testing.assert_array_equal(found.outside, outside)
    assert found.residual == pytest.approx(abs(found.warped[0] - pair.target[0].astype(float))[~outside].mean())
    assert found.jacobian_determinant.shape == found.shape and found.folding == 0


@pytest.mark.parametrize("dtype", [np.uint8, np.uint16, np.float32, np.float64])
def test_the_unit_of_the_images_does_not_matter(dtype):
    source, target, motion = moved(10, 1.05, (3, 2), (64, 64), channels=3)
    unit = 1 if dtype == np.uint8 else 200 if dtype == np.uint16 else 1 / 255
    source, target = ((image.clip(0, 255) * unit).astype(dtype) for image in (source, target))
    found = hstn_ref.align(source, target)
    assert np.hypot(*inside(found.motion - motion)).mean() < 0.1
    assert found.warped.shape == source.shape and found.warped.dtype == (dtype if dtype == np.float64 else np.float32)
    assert found.residual < 3 * unit


@pytest.mark.parametrize("engine", ["brox", "sift_flow", "ldof"])
def test_every_engine_gives_the_same_kind_of_result(engine):
    source, target, motion = moved(0, 1, (3, -2), (64, 64))
    found = hstn_ref.align(source[0], target[0], engine=engine)
    assert isinstance(found, Alignment) and found.warped.shape == (64, 64)
    assert np.hypot(*inside(found.motion - motion)).mean() < 0.2
    np.testing.assert_allclose(found.motion, getattr(hstn_ref.flow, engine)(source[0], target[0]), atol=1e-4)


def test_split_takes_the_affine_part_out():
    motion = moved(8, 1.1, (2, -5))[2]
    theta, rest = split(motion)
    np.testing.assert_allclose(rest, 0, atol=1e-5)
    assert theta.dtype == rest.dtype == np.float32
    wave = np.sin(np.arange(80 * 96).reshape(80, 96))[None] * np.ones((2, 1, 1))
    found = Alignment(np.zeros((80, 96)), np.zeros((80, 96)), *split(motion + wave))
    np.testing.assert_allclose(found.motion, motion + wave, atol=1e-5)
    assert abs(found.flow.mean()) < 1e-6


@pytest.mark.parametrize("engine", ["optimise", "brox", "sift_flow", "ldof"])
def test_progress_ends_where_it_said(engine):
    calls = []
    source, target, _ = moved(0, 1, (1, 1), (32, 40))
    hstn_ref.align(source, target, engine=engine, progress=lambda done, steps: calls.append((done, steps)))
    done = [done for done, _ in calls]
    assert len(done) > 1 and done == sorted(done) and done[-1] == calls[0][1] == calls[-1][1]


def test_the_same_images_give_the_same_bits(elastic):
    pair, found = elastic
    np.testing.assert_array_equal(hstn_ref.align(pair.source, pair.target).motion, found.motion)


def test_no_grad_changes_nothing(elastic):
    pair, found = elastic
    with no_grad():
        again = hstn_ref.align(pair.source, pair.target)
    np.testing.assert_array_equal(again.motion, found.motion)


def test_a_channel_without_contrast_says_nothing_about_the_light(elastic):
    source, target = (np.repeat(image, 3, axis=0) for image in (elastic[0].source, elastic[0].target))
    grey = hstn_ref.align(source, target, engine="brox").light
    source[2] = target[2] = 0
    assert hstn_ref.align(source, target, engine="brox").light == pytest.approx(grey, abs=0.01)


def test_results_are_compared_as_objects(elastic):
    _, found = elastic
    assert found == found and found != hstn_ref.align(found.source, found.target, engine="brox")
    assert found in {found}


def test_the_result_keeps_its_images(elastic):
    source, target, _ = moved(0, 1, (1, 1), (32, 40))
    found = hstn_ref.align(source, target)
    before = source.copy()
    source[:] = 0
    np.testing.assert_array_equal(found.source, before)


# Images that cannot be aligned, and questions that cannot be answered

GOOD = texture((32, 32))


@pytest.mark.parametrize(
    "source, target, options, message",
    [
        (GOOD, GOOD, {"engine": "horn"}, "engine is 'horn', expected one of optimise, network, brox"),
        (GOOD, GOOD, {"refine": True}, "refine follows another engine"),
        (GOOD, GOOD, {"checkpoint": "a.h5"}, "checkpoint is 'a.h5', engine 'optimise' has no use for one"),
        (GOOD, GOOD[:, :, :31], {}, "the same shape"),
        (GOOD, np.full_like(GOOD, 7), {}, "target is constant"),
        (np.where(GOOD > 100, np.nan, GOOD), GOOD, {}, "NaN"),
        (GOOD[:, :8], GOOD[:, :8], {}, "at least 16 x 16"),
        (np.moveaxis(texture((32, 32), 3), 0, -1), np.moveaxis(texture((32, 32), 3), 0, -1), {}, "channels last"),
        (GOOD[None], GOOD[None], {}, "expected one image"),
        (
            texture((64, 64), seed=1),
            texture((64, 64), seed=2),
            {},
            r"no alignment was found, .* \(residual \d+.*, before \d+.*; folds in \d+\.\d%\)",
        ),
    ],
)
def test_bad_images_are_named(source, target, options, message):
    with pytest.raises(ValueError, match=message):
        hstn_ref.align(source, target, **options)


@pytest.mark.parametrize("engine", ["optimise", "sift_flow"])
def test_pictures_of_different_things_are_refused(engine):
    """An affine motion and a flow fit a cat to a retina with few folds; what comes out does not look like one."""
    cat, retina = (to_grey(load_photographs()[name])[:, :192:2, :192:2] for name in ("chelsea", "retina"))
    with pytest.raises(ValueError, match=r"have a correlation of 0\.\d\d, expected 0\.5"):
        hstn_ref.align(cat, retina, engine=engine)


def test_paths_are_not_images():
    with pytest.raises(TypeError, match=r"source is monday\.png, expected an array; read a file with"):
        hstn_ref.align("monday.png", "friday.png")


def test_complex_images_are_refused():
    with pytest.raises(TypeError, match="align: source is complex128, expected real numbers"):
        hstn_ref.align(GOOD + 0j, GOOD)


def test_questions_to_a_result_are_checked(elastic):
    found = elastic[1]
    with pytest.raises(ValueError, match=r"warp: image \(3, 3\)"):
        found.warp(np.zeros((3, 3)))
    with pytest.raises(ValueError, match="expected finite numbers"):
        found.warp_points([[0, 1, 2]])
    with pytest.raises(ValueError, match="to is 'there'"):
        found.warp_points([[0, 1]], to="there")


def still(flow):
    return Alignment(GOOD, GOOD, np.array([1, 0, 0, 0, 1, 0], np.float32), flow.astype(np.float32))


def test_a_swirl_is_undone_however_strong():
    """Its inverse is the swirl the other way round: every circle turns by an angle that depends on its radius."""
    y, x = np.mgrid[:128, :128] - 63.5
    angle = np.deg2rad(80) * np.exp(-(x**2 + y**2) / 800)
    there, back = (
        np.stack([np.cos(a) * x - np.sin(a) * y - x, np.sin(a) * x + np.cos(a) * y - y]) for a in (angle, -angle)
    )
    found = still(there)
    assert found.folding == 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        np.testing.assert_allclose(found.inverse, back, atol=0.1)  # the motion is bilinear between pixels


def test_a_fold_has_several_inverses_and_says_so():
    flow = np.zeros((2, 32, 32))
    flow[0] = 12 * np.sin(np.arange(32) * 0.8)
    found = still(flow)
    with pytest.warns(hstn_ref.motion.NotConverged, match=f"the motion folds in {found.folding:.2%} of the image"):
        b = found.inverse
    x = np.arange(32) + b[0]
    np.testing.assert_allclose(x + np.interp(x, np.arange(32), flow[0, 0]), np.tile(np.arange(32), (32, 1)), atol=1e-4)


def test_an_inverse_that_is_not_found_is_a_guess():
    found = still(np.random.default_rng(0).normal(0, 30, (2, 32, 32)))
    with pytest.warns(hstn_ref.motion.NotConverged) as said:
        assert np.isfinite(found.inverse).all()
    folds, guess = (str(warning.message) for warning in said)
    assert "the motion folds in" in folds and "no inverse of the motion was found at" in guess


def test_labels_keep_their_values():
    labels = np.arange(32 * 32, dtype=np.int16).reshape(32, 32)
    found = still(np.stack([np.full((32, 32), 2.4), np.full((32, 32), -3.4)]))
    np.testing.assert_array_equal(found.warp(labels, nearest=True)[3:, :-2], labels[:-3, 2:])
    assert found.warp(labels, nearest=True).dtype == np.int16
    assert (found.warp(labels, nearest=True)[:3, :-2] == labels[:1, 2:]).all()  # the edge continues
    assert (found.warp(labels, nearest=True, border="zeros")[:3] == 0).all()
    with pytest.raises(ValueError, match="border is 'reflect', expected edge or zeros with nearest"):
        found.warp(labels, nearest=True, border="reflect")


@pytest.mark.parametrize("contrast", [1, -2, 0])
def test_correlation_is_that_of_what_overlaps(contrast):
    target = 7 + contrast * GOOD.astype(float)
    target[..., :3] = 255  # outside, below
    found = Alignment(GOOD, target, np.array([1, 0, 0, 0, 1, 0], np.float32), np.zeros((2, 32, 32), np.float32))
    found.flow[0, :, :3] = -4
    np.testing.assert_allclose(found.correlation, np.sign(contrast), atol=1e-6)


def test_the_energy_of_the_search_is_that_of_its_definition():
    """(1) of search.py in loops, for a shift by whole pixels, with the contrast and brightness that light.py finds."""
    H, W, C = 7, 9, 3
    rng = np.random.default_rng(4)
    source, target = rng.uniform(0, 4, (2, C, H, W))  # small differences, about which the 1 in Psi matters
    x, y = 2, -1
    theta = np.array([[1, 0, 2 * x / (W - 1), 0, 1, 2 * y / (H - 1)]])
    at = np.clip(np.arange(H) + y, 0, H - 1)[:, None], np.clip(np.arange(W) + x, 0, W - 1)[None]
    m = np.zeros((H, W))
    m[1:, :-2] = 1
    warped = source[:, at[0], at[1]]
    a, b = light(warped.reshape(C, -1), target.reshape(C, -1), m.reshape(1, -1), rounds=2)
    d = a[..., None] * warped + b[..., None] - target
    grey, edges = [], []
    for i, j in np.ndindex(H, W):
        if m[i, j]:
            grey.append(np.sqrt((d[:, i, j] ** 2).sum() + 1))
        if i + 1 < H and j + 1 < W and m[i, j] and m[i, j + 1] and m[i + 1, j]:
            across, down = d[:, i, j + 1] - d[:, i, j], d[:, i + 1, j] - d[:, i, j]
            edges.append(np.sqrt((across**2).sum() + (down**2).sum() + 1))
    found, overlap = energy(source[None], target, Tensor(theta))
    np.testing.assert_allclose(found.data, [np.mean(grey) + np.mean(edges)], rtol=1e-6)
    np.testing.assert_allclose(overlap, [m.mean()])


def test_importing_the_package_does_not_import_the_engine():
    code = "import sys, hstn_ref; print('hstn_ref.alignment' in sys.modules, callable(hstn_ref.align))"
    ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT)
    assert ran.stdout.split() == ["False", "True"]


@pytest.mark.parametrize("angle", [0, 60, 90, 180])
def test_the_flow_moves_in_the_frame_of_the_source(angle):
    """However the affine part turns: with that given, what is left is found."""
    H, W = 72, 96
    source, a = texture((H, W)), np.deg2rad(angle)
    y, x = np.mgrid[:H, :W] - np.reshape([(H - 1) / 2, (W - 1) / 2], (2, 1, 1))
    turned = np.stack([np.cos(a) * x - np.sin(a) * y, np.sin(a) * x + np.cos(a) * y]) * 0.6  # stays inside
    w = np.stack([0.8 * np.sin(y / 15), 0.6 * np.cos(x / 18)])
    places = turned + w + np.reshape([(W - 1) / 2, (H - 1) / 2], (2, 1, 1))
    target = map_coordinates(source[0], places[::-1], order=1, mode="nearest")[None]
    ratio = (H - 1) / (W - 1)
    theta = 0.6 * np.array([np.cos(a), -np.sin(a) * ratio, 0, np.sin(a) / ratio, np.cos(a), 0])
    found = refined(source.astype(np.float32), target.astype(np.float32), theta.astype(np.float32), lambda: None)
    assert np.hypot(*inside(found - w)).mean() < 0.1
