import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from hstn_ref.alignment_metrics import central, flow_epe, image_epe, share_below

seeds = st.integers(0, 999)


@given(seeds, st.sampled_from([1, 3]), st.sampled_from([0.5, 0.6, 0.75, 1.0]))
def test_image_epe_is_the_mean_distance_of_pixels(seed, C, part):
    a, b = np.random.default_rng(seed).integers(0, 256, (2, 2, C, 20, 28)).astype(np.uint8)
    top, left = {0.5: (5, 7), 0.6: (4, 6), 0.75: (2, 4), 1.0: (0, 0)}[part]
    for n, found in enumerate(image_epe(a, b, part=part)):
        distances = []
        for i in range(top, 20 - top):
            for j in range(left, 28 - left):
                distances.append(sum((float(a[n, c, i, j]) - float(b[n, c, i, j])) ** 2 for c in range(C)) ** 0.5)
        assert found == pytest.approx(sum(distances) / len(distances))


def test_floating_images_are_measured_in_grey_levels_too():
    a, b = np.random.default_rng(0).integers(0, 256, (2, 2, 3, 16, 16)).astype(np.uint8)
    found = image_epe((a / 255).astype(np.float32), (b / 255).astype(np.float32))
    np.testing.assert_allclose(found, image_epe(a, b), rtol=1e-6)  # float32


@given(seeds)
def test_flow_epe_is_the_mean_length_of_differences(seed):
    w, truth = np.random.default_rng(seed).normal(0, 3, (2, 2, 2, 12, 16))
    for n, found in enumerate(flow_epe(w, truth, part=0.5)):
        lengths = [float(np.linalg.norm(w[n, :, i, j] - truth[n, :, i, j])) for i in range(3, 9) for j in range(4, 12)]
        assert found == pytest.approx(sum(lengths) / len(lengths))


@pytest.mark.parametrize(
    ("n", "part", "kept"), [(128, 0.6, 76), (64, 0.75, 48), (5, 0.1, 1), (7, 1.0, 7), (6, 0.01, 2)]
)
def test_the_central_part_is_central(n, part, kept):
    image = np.broadcast_to(np.arange(n), (n, n))
    found = central(image, part)
    assert found.shape == (kept, kept)
    assert found[0, 0] + found[0, -1] == n - 1


def test_the_share_below_a_pixel():
    assert share_below(np.array([0.2, 0.99, 1.0, 7.0])) == 0.5
    assert share_below(np.array([0.2, 0.99, 1.0, 7.0]), 8) == 1.0


def test_shapes_that_do_not_fit():
    images, motions = np.zeros((2, 3, 8, 8)), np.zeros((2, 2, 8, 8))
    with pytest.raises(
        ValueError, match=r"image_epe: \(2, 3, 8, 8\) and \(2, 2, 8, 8\), expected \(N, C, H, W\) twice"
    ):
        image_epe(images, motions)
    with pytest.raises(ValueError, match=r"flow_epe: .* expected \(N, 2, H, W\) twice"):
        flow_epe(images, images)
    for part in (0, 1.1, float("nan")):
        with pytest.raises(ValueError, match=f"part is {part}, expected 0 < part <= 1"):
            central(images, part)
