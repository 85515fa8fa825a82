"""hstn align: every file it writes, read back by others; every mistake as one sentence."""

import json

import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hstn_ref
from hstn_ref.cli import main
from hstn_ref.data import load_photographs


@pytest.fixture(scope="module")
def place(tmp_path_factory):
    """A folder with a colour pair, its shift by (4, -3), and what `align` finds."""
    folder = tmp_path_factory.mktemp("align")
    canvas = load_photographs()["coffee"]
    source, target = canvas[:, 60:140, 60:156], canvas[:, 57:137, 64:160]  # target(p) = source(p + (4, -3))
    for name, image in (("source", source), ("target", target)):
        Image.fromarray(image.transpose(1, 2, 0)).save(folder / f"{name}.png")
    (folder / "points.csv").write_text("x,y\n40,40\n30.5,20\n")
    return folder, hstn_ref.align(source, target)


def run(*arguments):
    return CliRunner().invoke(main, ["align", *map(str, arguments)])


def test_all_files_are_written(place):
    folder, found = place
    out = folder / "flo"
    done = run(folder / "source.png", folder / "target.png", "--out", out, "--points", folder / "points.csv")
    assert done.exit_code == 0, done.output
    assert {path.name for path in out.iterdir()} == {
        "warped.png",
        "outside.png",
        "alignment.json",
        "motion.flo",
        "inverse.flo",
        "jacobian_determinant.npy",
        "points.csv",
        "picture.png",
    }
    content = (out / "motion.flo").read_bytes()
    assert np.frombuffer(content[:4], "<f4") == np.float32(202021.25)  # the format's own check
    assert np.frombuffer(content[4:12], "<i4").tolist() == [96, 80]
    motion = np.frombuffer(content[12:], "<f4").reshape(80, 96, 2)
    np.testing.assert_array_equal(motion.transpose(2, 0, 1), found.motion)
    np.testing.assert_array_equal(np.asarray(Image.open(out / "warped.png")).transpose(2, 0, 1), np.rint(found.warped))
    np.testing.assert_array_equal(np.asarray(Image.open(out / "outside.png")) == 255, found.outside)
    np.testing.assert_array_equal(np.load(out / "jacobian_determinant.npy"), found.jacobian_determinant)
    points = np.loadtxt(out / "points.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(points, [[36, 43], [26.5, 23]], atol=0.2)
    numbers = json.loads((out / "alignment.json").read_text())
    np.testing.assert_allclose(numbers["shift"], [-4, 3], atol=0.2)
    assert abs(numbers["rotation"]) < 0.3 and abs(numbers["scale"] - 1) < 0.01
    assert numbers["residual"] < 0.3 * numbers["residual_before"]
    assert "shift       (-" in done.output and "residual" in done.output


@pytest.mark.parametrize("form", ["npy", "h5"])
def test_other_formats(place, form):
    folder, found = place
    out = folder / form
    done = run(folder / "source.png", folder / "target.png", "--out", out, "--format", form, "--quiet")
    assert (done.exit_code, done.output) == (0, "")
    if form == "npy":
        np.testing.assert_array_equal(np.load(out / "motion.npy"), found.motion)
        np.testing.assert_array_equal(np.load(out / "inverse.npy"), found.inverse)
    else:
        with h5py.File(out / "alignment.h5") as file:
            np.testing.assert_array_equal(file["motion"], found.motion)
            np.testing.assert_array_equal(file["matrix"], found.matrix)
            assert set(file) >= {"inverse", "flow", "theta", "jacobian_determinant", "outside"}


def test_the_words_name_the_direction(tmp_path):
    """The source turned clockwise by Pillow, which turns the other way round, and enlarged."""
    grey = Image.fromarray(load_photographs()["camera"][0]).resize((128, 128))
    turned = grey.rotate(-20, Image.Resampling.BICUBIC)
    grey.save(tmp_path / "a.png")
    turned.save(tmp_path / "b.png")
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out", "--quiet").exit_code == 0
    numbers = json.loads((tmp_path / "out" / "alignment.json").read_text())
    assert abs(numbers["rotation"] - 20) < 1 and abs(numbers["scale"] - 1) < 0.03


def test_grey_onto_colour_and_another_size(place, tmp_path):
    folder, _ = place
    small = Image.open(folder / "source.png").resize((80, 64), Image.Resampling.BICUBIC)
    small.save(tmp_path / "small.png")
    Image.open(folder / "target.png").convert("L").save(tmp_path / "grey.tif")
    options = (tmp_path / "small.png", tmp_path / "grey.tif", "--out", tmp_path / "out")
    refused = run(*options)
    assert refused.exit_code == 1
    assert "small.png has 80x64 pixels and" in refused.output and "--resample" in refused.output
    assert run(*options, "--resample", "--quiet").exit_code == 0
    assert Image.open(tmp_path / "out" / "warped.png").mode == "RGB"


@pytest.mark.parametrize(
    "name, content, message",
    [
        ("missing.png", None, "cannot be read as an image"),
        ("broken.png", b"no picture", "cannot be read as an image"),
    ],
)
def test_bad_images_are_one_sentence(place, tmp_path, name, content, message):
    if content is not None:
        (tmp_path / name).write_bytes(content)
    done = run(tmp_path / name, place[0] / "target.png", "--out", tmp_path / "out")
    assert done.exit_code == 1 and message in done.output and len(done.output.splitlines()) == 1
    assert not (tmp_path / "out").exists()


@pytest.mark.parametrize("text, message", [("x,y\n1,2\n3\n", "line 3 is '3'"), ("x,y\n", "expected lines of two")])
def test_bad_points_are_named_before_anything_is_written(place, tmp_path, text, message):
    (tmp_path / "p.csv").write_text(text)
    folder = place[0]
    done = run(folder / "source.png", folder / "target.png", "--points", tmp_path / "p.csv", "--out", tmp_path / "out")
    assert done.exit_code == 1 and message in done.output
    assert not (tmp_path / "out").exists()


def test_a_constant_image_is_refused(place, tmp_path):
    Image.new("RGB", (96, 80), "red").save(tmp_path / "red.png")
    done = run(tmp_path / "red.png", place[0] / "target.png", "--out", tmp_path / "out")
    assert done.exit_code == 1 and "source is constant" in done.output
