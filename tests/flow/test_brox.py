"""brox, and what all three flows share: identity, shifts, symmetries, batches, errors."""

import subprocess
import sys
from functools import partial
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref.flow import brox, ldof, sift_flow
from hstn_ref.flow.pairs import each_pair
from hstn_ref.flow.pyramid import resize, resize_motion, sizes

from ..arrays import laid_out
from .samples import inside, shifted

ROOT = Path(__file__).parents[2]
FLOWS = {
    "brox": brox,
    "brox2004": partial(brox, preset="brox2004"),
    "ldof": ldof,
    "sift_flow": sift_flow,
}
VARIATIONAL = ["brox", "brox2004", "ldof"]


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", FLOWS)
def test_equal_images_do_not_move(name, channels):
    source, _ = shifted((40, 44), (0, 0), channels)
    motion = FLOWS[name](source, source)
    assert motion.shape == (2, 40, 44) and motion.dtype == np.float32
    np.testing.assert_allclose(motion, 0, atol=1e-3)  # float32: the flat parts are only held by their neighbours


@pytest.mark.parametrize("name", VARIATIONAL)
@pytest.mark.parametrize("shift", [(1.5, 0.0), (0.0, -1.5), (-3.25, 2.5)])
def test_a_shift_is_found_to_a_fiftieth_of_a_pixel(name, shift):
    motion = FLOWS[name](*shifted((64, 72), shift))
    error = inside(motion - np.reshape(shift, (2, 1, 1)), 12)
    assert abs(error).mean() < 0.02
    assert abs(error).max() < 0.1


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("shift", [(4, -3), (-11, 7), (17, 0)])
def test_sift_flow_finds_whole_shifts_exactly(shift, channels):
    motion = sift_flow(*shifted((80, 96), shift, channels))
    np.testing.assert_array_equal(inside(motion, 24), np.broadcast_to(np.reshape(shift, (2, 1, 1)), (2, 32, 48)))


@pytest.mark.parametrize(
    ("shift", "rows", "columns"),
    [((50, -40), slice(56, 184), slice(8, 126)), ((-79, 10), slice(8, 166), slice(95, 184))],
)
def test_sift_flow_finds_long_whole_shifts_exactly(shift, rows, columns):
    """Where the source shows what the target does, and half a descriptor from there."""
    found = sift_flow(*shifted((192, 192), shift))[:, rows, columns]
    np.testing.assert_array_equal(found, np.broadcast_to(np.reshape(shift, (2, 1, 1)), found.shape))


def turned(motion):
    """A motion of transposed images."""
    return motion[::-1].transpose(0, 2, 1)


def mirrored(motion):
    """A motion of images mirrored along x."""
    return motion[..., ::-1] * np.reshape([-1, 1], (2, 1, 1))


@pytest.mark.parametrize("name", ["brox", "brox2004"])
def test_transposing_and_mirroring_images_does_so_with_the_motion(name):
    """Exact in real numbers but for u before v and, on odd widths, red before black; both vanish as sweeps converge."""
    source, target = shifted((48, 48), (2.3, -1.2))
    motion = FLOWS[name](source, target)
    other = FLOWS[name](source.transpose(0, 2, 1), target.transpose(0, 2, 1))
    np.testing.assert_allclose(inside(turned(other), 8), inside(motion, 8), atol=0.02)
    other = FLOWS[name](source[..., ::-1], target[..., ::-1])
    np.testing.assert_allclose(inside(mirrored(other), 8), inside(motion, 8), atol=0.02)


@pytest.mark.parametrize("name", FLOWS)
def test_the_unit_of_the_images_does_not_matter(name):
    source, target = (np.rint(image).clip(0, 255) for image in shifted((40, 40), (1.0, -2.0)))
    expected = FLOWS[name](source.astype(np.uint8), target.astype(np.uint8))
    for factor, dtype in ((1 / 255, np.float64), (257, np.uint16), (1, np.float32)):
        found = FLOWS[name]((source * factor).astype(dtype), (target * factor).astype(dtype))
        # The pixels differ in their last bits, and where sweeps have not converged that is more: so the mean.
        assert abs(inside(found - expected, 8)).mean() < 2e-3


@pytest.mark.parametrize("name", FLOWS)
def test_grey_images_as_colour_give_the_same_motion(name):
    source, target = shifted((40, 40), (2.0, 1.0))
    grey = FLOWS[name](source, target)
    colour = FLOWS[name](np.repeat(source, 3, axis=0), np.repeat(target, 3, axis=0))
    np.testing.assert_allclose(inside(colour, 8), inside(grey, 8), atol=5e-3)  # float32, rounded in another order


@pytest.mark.parametrize("name", FLOWS)
def test_a_batch_is_its_pairs_and_the_arguments_stay_as_they_were(name):
    pairs = [shifted((36, 40), shift) for shift in ((1.0, 0.0), (0.0, 2.0))]
    sources, targets = (np.stack(images) for images in zip(*pairs, strict=True))
    before = sources.copy(), targets.copy()
    motions = FLOWS[name](sources, targets)
    assert motions.shape == (2, 2, 36, 40)
    for motion, (source, target) in zip(motions, pairs, strict=True):
        np.testing.assert_array_equal(motion, FLOWS[name](source[0], target[0]))  # (H, W), the same bits
    np.testing.assert_array_equal(sources, before[0])
    np.testing.assert_array_equal(targets, before[1])


@pytest.mark.parametrize("layout", ["F", "strided", "reversed", "read-only"])
@pytest.mark.parametrize("name", FLOWS)
def test_the_memory_layout_does_not_matter(name, layout):
    source, target = shifted((36, 40), (1.0, -1.0))
    expected = FLOWS[name](source, target)
    found = FLOWS[name](laid_out(source, layout), laid_out(target, layout))
    np.testing.assert_array_equal(found, expected)


def test_the_same_bits_in_another_process_with_other_threads():
    code = (
        "import hashlib, sys; from hstn_ref.flow import brox, ldof, sift_flow; "
        "from tests.flow.samples import shifted; p = shifted((40, 40), (1.5, -0.5)); "
        "print(*[hashlib.sha256(f(*p).tobytes()).hexdigest() for f in (brox, ldof, sift_flow)])"
    )
    printed = []
    for threads in ("1", "2"):
        environment = {"NUMBA_NUM_THREADS": threads, "PATH": "", "PYTHONPATH": str(ROOT), "HOME": str(Path.home())}
        ran = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, cwd=ROOT, env=environment)
        assert ran.returncode == 0, ran.stderr
        printed.append(ran.stdout)
    assert printed[0] == printed[1]


def good(shape=(1, 40, 40)):
    return np.random.default_rng(0).random(shape)


BAD = {
    "other sizes": (good(), good((1, 40, 41)), ValueError, r"source \(1, 40, 40\) and target \(1, 40, 41\), expected"),
    "two channels": (good((2, 40, 40)), good((2, 40, 40)), ValueError, r"\(2, 40, 40\), expected .* C = 1 or 3"),
    "channels last": (good((40, 40, 3)), good((40, 40, 3)), ValueError, r"\(40, 40, 3\), expected .* C = 1 or 3"),
    "one axis": (good((40,)), good((40,)), ValueError, r"\(40,\), expected \(H, W\)"),
    "too small": (good((1, 40, 7)), good((1, 40, 7)), ValueError, r"expected at least \d+ x \d+ pixels"),
    "NaN": (good(), good(), ValueError, "image 0 of the source has NaN or infinity"),
    "infinite": (good(), good(), ValueError, "of the target has NaN or infinity"),
    "constant": (good(), np.ones((1, 40, 40)), ValueError, "image 0 of the target is constant"),
    "complex": (good() + 1j, good(), TypeError, "source is complex128, expected real numbers"),
    "boolean": (good(), good() > 0.5, TypeError, "target is bool, expected real numbers"),
}


@pytest.mark.parametrize("case", BAD)
@pytest.mark.parametrize("name", ["brox", "ldof", "sift_flow"])
def test_bad_images_get_one_sentence(name, case):
    source, target, kind, sentence = BAD[case]
    if case == "NaN":
        source = source.copy()
        source[0, 3, 4] = np.nan
    if case == "infinite":
        target = target.copy()
        target[0, 3, 4] = np.inf
    with pytest.raises(kind, match=f"^{name}: .*{sentence}"):
        FLOWS[name](source, target)


@pytest.mark.parametrize(("name", "largest"), [("ldof", 3_000_000), ("sift_flow", 4_500_000)])
def test_what_would_take_too_much_memory_is_refused_first(name, largest):
    """Before it is found to be constant, which the image of the largest size is."""
    fits, exceeds = (np.broadcast_to(np.float32(0), (3, 1000, largest // 1000 + more)) for more in (0, 1))
    with pytest.raises(ValueError, match="is constant"):
        FLOWS[name](fits, fits)
    found = f"{largest + 1000:,} pixels, expected at most {largest:,}, for which it takes 4 GB of memory; use brox"
    with pytest.raises(ValueError, match=rf"^{name}: images \(3, 1000, \d+\) have {found}"):
        FLOWS[name](exceeds, exceeds)


@pytest.mark.parametrize("name", FLOWS)
def test_progress_ends_with_all_work_and_changes_nothing(name):
    source, target = (np.stack([image, image]) for image in shifted((61, 66), (2.0, -1.0)))
    calls = []
    found = FLOWS[name](source, target, progress=lambda done, total: calls.append((done, total)))
    np.testing.assert_array_equal(found, FLOWS[name](source, target))
    first, second = np.split(np.array(calls), 2)  # two pairs, each from the beginning
    np.testing.assert_array_equal(first, second)
    done, totals = first.T
    assert set(totals) == {done[-1]}
    steps = np.diff(done, prepend=0) / done[-1]
    assert steps.min() > 0 and steps.max() < 0.2


@pytest.mark.parametrize(
    ("preset", "weights", "sigma", "eta", "median"),
    [("brox2004", (80, 100, True, 10), 0.8, 0.95, False), ("tuned", (8, 2, False, 10), 0.5, 0.9, True)],
)
def test_a_preset_is_what_its_table_says(monkeypatch, preset, weights, sigma, eta, median):
    """alpha, gamma, joint and sweeps of every level, what blurs the images, how levels shrink, whether a median ends
    them."""
    seen = {"minimise": [], "gaussian_filter": [], "median5": []}

    def watch(name, tell):
        function = getattr(module, name)

        def watched(*arguments, **options):
            seen[name].append(tell(arguments))
            return function(*arguments, **options)

        monkeypatch.setattr(module, name, watched)

    module = sys.modules["hstn_ref.flow.brox"]
    watch("minimise", lambda arguments: (arguments[2].shape[1:], arguments[3]))
    watch("gaussian_filter", lambda arguments: arguments[1])
    watch("median5", lambda arguments: None)
    brox(*shifted((30, 40), (1, 0)), preset=preset)
    used = [(w.alpha, w.gamma, w.joint, w.relaxations) for _, w in seen["minimise"]]
    assert set(used) == {weights}
    assert seen["gaussian_filter"] == [(0, sigma, sigma)] * 2
    assert len(seen["median5"]) == median * len(used)
    (before, _), (finest, _) = (size for size, _ in seen["minimise"][-2:])
    assert finest == 30 and before == round(30 * eta)


def test_an_unknown_preset():
    with pytest.raises(ValueError, match="preset is 'fast', expected one of brox2004, tuned"):
        brox(good(), good(), preset="fast")


def test_images_are_stretched_together():
    seen = []
    source, target = np.array([[2.0, 4.0], [3.0, 3.0]]), np.array([[3.0, 7.0], [3.0, 4.0]])

    def estimate(s, t):
        seen.append((s, t))
        return np.zeros((2, 2, 2))

    each_pair("test", source, target, 1, estimate)
    ((s, t),) = seen
    np.testing.assert_allclose(s, [[[0, 102], [51, 51]]])
    np.testing.assert_allclose(t, [[[51, 255], [51, 102]]])


@given(st.integers(8, 60), st.integers(8, 60), st.sampled_from([0.5, 0.9, 0.95]))
def test_levels_shrink_evenly_down_to_the_coarsest(H, W, eta):
    levels = sizes((H, W), eta, 8)
    assert levels[-1] == (H, W)
    assert min(levels[0]) >= 8
    assert min(round(H * eta ** len(levels)), round(W * eta ** len(levels))) < 8
    for k, size in enumerate(reversed(levels)):
        assert size == (round(H * eta**k), round(W * eta**k))


def test_resizing_keeps_pixel_centres():
    x = np.arange(32.0)
    ramp = np.broadcast_to(x, (1, 20, 32)).copy()
    smaller = resize(ramp, (10, 16))
    np.testing.assert_allclose(smaller[0, 5, 2:-2], 2 * np.arange(16.0)[2:-2] + 0.5, atol=1e-4)  # (X + 1/2) 2 - 1/2
    motion = np.stack([np.full((10, 16), 3.0), np.full((10, 16), -1.0)])
    larger = resize_motion(motion, (25, 32))
    np.testing.assert_allclose(larger, np.broadcast_to([[[6.0]], [[-2.5]]], (2, 25, 32)), atol=1e-5)
