import colorsys
from dataclasses import replace

import numpy as np
import pytest
from PIL import Image

from hstn_ref import colours, models, plots
from hstn_ref.errors import FileError
from hstn_ref.history import Epoch


def history(count):
    return [
        Epoch(i, 2 / i, 1 - 0.5 / i, 1.9 / i, 1.8 / i, 1 - 0.4 / i, 1e-4 if i < 3 else 1e-5, 100.0, 1.0)
        for i in range(1, count + 1)
    ]


def shift(x, y, H=5, W=4):
    return np.broadcast_to(np.array([x, y], float).reshape(2, 1, 1), (2, H, W))


def hue(motion):
    return colorsys.rgb_to_hsv(*colours.motion_colours(motion, 1.0)[0, 0])[0] * 360


def test_no_motion_is_white():
    np.testing.assert_array_equal(colours.motion_colours(shift(0, 0), 3.0), np.ones((5, 4, 3)))


@pytest.mark.parametrize(
    ("x", "y", "low", "high"),
    [(1, 0, 0, 0), (0, 1, 45, 60), (-1, 0, 180, 200), (0, -1, 260, 300)],  # red, yellow, cyan, violet
)
def test_the_hue_is_the_direction(x, y, low, high):
    assert low <= hue(shift(x, y)) <= high


def test_the_full_colour_is_the_radius():
    found = colours.motion_colours(shift(3.0, 0.0), 3.0)[0, 0]
    np.testing.assert_allclose(found, [1, 0, 0])
    half = colours.motion_colours(shift(1.5, 0.0), 3.0)[0, 0]
    np.testing.assert_allclose(half, [1, 0.5, 0.5])
    beyond = colours.motion_colours(shift(6.0, 0.0), 3.0)[0, 0]
    np.testing.assert_allclose(beyond, [0.75, 0, 0])


def test_colours_are_continuous_and_in_range():
    angle = np.linspace(-np.pi, np.pi, 20001)
    field = np.stack([np.cos(angle), np.sin(angle)])[:, None]
    found = colours.motion_colours(field * (1 - 1e-12), 1.0)[0]
    assert found.min() >= 0 and found.max() <= 1
    assert np.abs(np.diff(found, axis=0)).max() < 0.01
    np.testing.assert_allclose(found[0], found[-1], atol=1e-9)  # once around


def test_the_wheel_has_the_motion_from_its_centre():
    wheel = colours.wheel(21)
    np.testing.assert_array_equal(wheel[10, 10], [1, 1, 1, 1])
    np.testing.assert_allclose(wheel[10, 20], [1, 0, 0, 1], atol=1e-12)  # right of the centre
    assert wheel[0, 0, 3] == 0


def test_there_are_55_different_hues():
    assert len({tuple(row) for row in colours.hues().tolist()}) == 55


@pytest.mark.parametrize(("shape", "radius"), [((3, 4, 4), 1.0), ((2, 4), 1.0), ((2, 4, 4), 0.0)])
def test_bad_motion_is_named(shape, radius):
    with pytest.raises(ValueError, match=r"motion_colours: motion .* radius"):
        colours.motion_colours(np.zeros(shape), radius)


@pytest.mark.parametrize("count", [1, 7])
def test_training_curves_are_a_png_of_the_size_of_the_figure(tmp_path, count):
    figure = plots.training_curves(history(count), title="toy")
    plots.save_figure(figure, tmp_path / "curves.png")
    width, height = (round(inches * plots.DPI) for inches in figure.get_size_inches())
    with Image.open(tmp_path / "curves.png") as image:
        assert (image.format, image.size) == ("PNG", (width, height))
    loss, accuracy = figure.axes
    assert loss.lines[0].get_ydata().tolist() == [epoch.train_loss for epoch in history(count)]
    assert accuracy.lines[1].get_ydata().tolist() == [epoch.valid_accuracy for epoch in history(count)]


def test_curves_mark_where_the_learning_rate_was_divided():
    """Along a cosine it falls in every epoch: there is nothing to mark."""
    divided = history(4)
    annealed = [replace(epoch, lr=1e-3 * (1 + np.cos(np.pi * i / 4)) / 2) for i, epoch in enumerate(divided, 1)]
    for epochs, marks in ((divided, 1), (annealed, 0)):
        for axes in plots.training_curves(epochs).axes:
            assert sum(line.get_linestyle() == ":" for line in axes.lines) == marks


@pytest.mark.parametrize(
    ("model", "rows"),
    [(models.CNN, 1), (models.AffineSTN, 4), (models.TPSSTN, 4), (models.CSTN, 7), (models.ICSTN, 7), (models.HSTN, 6)],
)
def test_a_picture_of_the_stages_has_a_row_a_stage(tmp_path, model, rows):
    options = {"preset": "tiny"} if model is models.HSTN else {}
    network = model(image_size=(36, 36), **options).eval()
    images = np.random.default_rng(0).random((3, 1, 36, 36), dtype=np.float32)
    figure = plots.stage_picture(network.stages(images), np.array([1, 2, 3]), np.array([1, 0, 3]))
    with_images = [axes for axes in figure.axes if axes.axison]
    assert len(with_images) == 3 * rows
    titles = [axes.get_title() for axes in with_images if axes.get_title()]
    assert titles == ["1 → 1", "2 → 0", "3 → 3"]
    plots.save_figure(figure, tmp_path / "stages.png")
    with Image.open(tmp_path / "stages.png") as image:
        assert image.size == tuple(int(inches * plots.DPI) for inches in figure.get_size_inches())


def test_arrows_have_the_length_and_direction_of_the_motion():
    axes = plots.Figure().subplots()
    plots.draw_arrows(axes, shift(2.0, -1.0, 30, 40))
    (quiver,) = axes.collections
    assert set(quiver.U.tolist()) == {2.0} and set(quiver.V.tolist()) == {-1.0}
    assert (quiver.angles, quiver.scale_units, quiver.scale) == ("xy", "xy", 1)
    assert axes.get_ylim() == (29.5, -0.5)  # y downwards


def test_a_picture_that_cannot_be_written(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(FileError, match=r"cannot write .*curves\.png"):
        plots.save_figure(plots.training_curves(history(2)), tmp_path / "file" / "curves.png")
