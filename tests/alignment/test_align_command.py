"""hstn align: every file it writes, read back by others; every mistake as one sentence."""

import json

import click
import h5py
import numpy as np
import pytest
from click.testing import CliRunner
from PIL import Image

import hstn_ref
from hstn_ref import files, plots
from hstn_ref.alignment import ENGINES, Alignment, output
from hstn_ref.alignment.output import write_alignment
from hstn_ref.cli import main
from hstn_ref.cli.align import align
from hstn_ref.data import load_photographs
from hstn_ref.errors import FileError


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
    assert "shift        (-" in done.output and "residual" in done.output
    assert numbers["size"] == [96, 80] and numbers["units"]["lengths"] == "pixels" and numbers["correlation"] > 0.9
    assert set(numbers["files"]) == {path.name for path in out.iterdir()}


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
            assert file.attrs["lengths"] == "pixels" and "source(p + motion(p))" in file.attrs["convention"]


def test_results_of_another_run_do_not_stay_among_the_new_ones(place, tmp_path):
    folder, _ = place
    pair = folder / "source.png", folder / "target.png"
    (tmp_path / "motion.npy").write_text("not ours")
    assert run(*pair, "--out", tmp_path, "--points", folder / "points.csv", "--quiet").exit_code == 0
    assert run(*pair, "--out", tmp_path, "--format", "h5", "--quiet").exit_code == 0
    left = {path.name for path in tmp_path.iterdir()}
    assert left == {"warped.png", "outside.png", "alignment.json", "picture.png", "alignment.h5", "motion.npy"}
    assert (tmp_path / "motion.npy").read_text() == "not ours"


@pytest.mark.parametrize("given", ["source", "points", "mask"])
def test_inputs_are_not_replaced_by_results(place, tmp_path, given):
    folder, _ = place
    paths = {"source": "warped.png", "points": "points.csv", "mask": "mask.png"}
    Image.new("L", (96, 80)).save(tmp_path / "mask.png")
    Image.open(folder / "source.png").save(tmp_path / "warped.png")
    (tmp_path / "points.csv").write_text("1,2\n")
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
    source = tmp_path / "warped.png" if given == "source" else folder / "source.png"
    options = [] if given == "source" else [f"--{given}", tmp_path / paths[given]]
    done = run(source, folder / "target.png", *options, "--out", tmp_path)
    assert done.exit_code == 1 and f"{paths[given]} would be replaced by a result" in done.output
    assert {path.name: path.read_bytes() for path in tmp_path.iterdir()} == before


def test_results_need_a_folder(place):
    folder, _ = place
    done = run(folder / "source.png", folder / "target.png", "--out", folder / "source.png")
    assert done.exit_code == 1 and "is a file, expected a folder for the results" in done.output
    done = run(folder / "none.png", folder / "none.png", "--out", folder / "source.png" / "deeper")
    assert done.exit_code == 1 and "source.png is a file, expected a folder for the results" in done.output


def test_an_interruption_leaves_one_alignment(place, tmp_path, monkeypatch):
    """While a later one is computed and written the one before stays; while they trade places nothing tells of them."""
    _, found = place
    write_alignment(found, found.source.astype(np.uint8), tmp_path)
    before = {path.name: path.read_bytes() for path in tmp_path.iterdir()}

    def stopped(*_):
        raise KeyboardInterrupt

    other = Alignment(found.target, found.source, found.theta, found.flow)
    places = [(Alignment, "_solved", False), (plots, "png", False), (files, "_flush", True)]
    for owner, name, replacing in places:
        with monkeypatch.context() as patched:
            patched.setattr(owner, name, stopped)
            with pytest.raises(KeyboardInterrupt):
                write_alignment(other, found.target.astype(np.uint8), tmp_path)
        after = {path.name: path.read_bytes() for path in tmp_path.iterdir()}
        assert "alignment.json" not in after if replacing else after == before


@pytest.mark.parametrize("obstacle", ["picture.png", "alignment.json"])
def test_a_file_that_cannot_be_written_leaves_all_as_they_were(place, tmp_path, obstacle):
    _, found = place
    (tmp_path / obstacle).mkdir()
    (tmp_path / "warped.png").write_bytes(b"mine")
    with pytest.raises(FileError, match=rf"{obstacle}: it exists and is not a regular file"):
        write_alignment(found, found.source.astype(np.uint8), tmp_path)
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted([obstacle, "warped.png"])
    assert (tmp_path / "warped.png").read_bytes() == b"mine"


def test_a_foreign_alignment_json_lists_nothing(place, tmp_path):
    _, found = place
    (tmp_path / "alignment.json").write_text('{"files": 3}')
    write_alignment(found, found.source.astype(np.uint8), tmp_path)
    assert "motion.flo" in json.loads((tmp_path / "alignment.json").read_text())["files"]


def test_the_choices_are_those_of_the_package():
    """The command names them, so that --help imports nothing heavy."""
    choices = {option.name: option.type.choices for option in align.params if isinstance(option.type, click.Choice)}
    assert choices == {"engine": ENGINES, "form": output.FORMATS}


def test_a_mask_is_warped_as_it_is(place, tmp_path):
    """Of a palette the indices; the background is what lies outside."""
    folder, _ = place
    labels = np.zeros((80, 96), np.uint8)
    labels[20:50, 30:60], labels[60:, :] = 7, 200
    mask = Image.fromarray(labels)
    mask.putpalette([0, 0, 0] * 7 + [255, 0, 0] * 249)
    mask.save(tmp_path / "mask.png")
    out = tmp_path / "out"
    options = ("--mask", tmp_path / "mask.png", "--out", out, "--quiet")
    assert run(folder / "source.png", folder / "target.png", *options).exit_code == 0
    warped = np.asarray(Image.open(out / "mask.png"))
    assert set(np.unique(warped)) == {0, 7, 200}
    assert (warped[24:52, 27:55] == 7).all() and (warped[65:77, :90] == 200).all()  # target(p) = source(p + (4, -3))
    smaller = Image.fromarray(labels[:50])
    smaller.save(tmp_path / "mask.png")
    refused = run(folder / "source.png", folder / "target.png", *options)
    assert refused.exit_code == 1 and "the mask has 96x50 pixels, expected 96x80" in refused.output


def test_lengths_in_a_unit(place, tmp_path):
    folder, _ = place
    pair = folder / "source.png", folder / "target.png"
    done = run(*pair, "--out", tmp_path / "out", "--pixel-size", "0.5 mm")
    numbers = json.loads((tmp_path / "out" / "alignment.json").read_text())
    assert numbers["pixel_size"] == {"value": 0.5, "unit": "mm"}
    x, y = numbers["shift"]
    assert f"right and down: ({x / 2:+.4g}, {y / 2:+.4g}) mm" in done.output
    for wrong in ("mm", "0 mm", "0.5", "-1mm", "1.2.3 mm", "1e-3", "1e3", "1 e-3", "1e400 mm"):
        refused = run(*pair, "--out", tmp_path / "none", "--pixel-size", wrong)
        assert refused.exit_code == 2 and "expected a number and a unit" in refused.output


def test_the_words_name_the_direction(tmp_path):
    """The source turned clockwise by Pillow, which turns the other way round, and enlarged."""
    grey = Image.fromarray(load_photographs()["camera"][0]).resize((128, 128))
    turned = grey.rotate(-20, Image.Resampling.BICUBIC)
    grey.save(tmp_path / "a.png")
    turned.save(tmp_path / "b.png")
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out", "--quiet").exit_code == 0
    numbers = json.loads((tmp_path / "out" / "alignment.json").read_text())
    assert abs(numbers["rotation"] - 20) < 1 and abs(numbers["scale"] - 1) < 0.03


def test_points_and_masks_of_a_source_in_another_size(tmp_path):
    """They are of SOURCE as it is: here four times as many pixels as those of the target, which shows the same."""
    camera = Image.fromarray(load_photographs()["camera"][0])
    camera.save(tmp_path / "large.png")
    camera.resize((128, 128), Image.Resampling.BICUBIC).save(tmp_path / "small.png")
    labels = np.zeros((256, 256), np.uint8)
    labels[100:180, 40:200] = 3
    Image.fromarray(labels).save(tmp_path / "labels.png")
    (tmp_path / "p.csv").write_text("200,100\n0,255\n")
    options = (
        "--resample",
        "--points",
        tmp_path / "p.csv",
        "--mask",
        tmp_path / "labels.png",
        "--out",
        tmp_path / "out",
    )
    assert run(tmp_path / "large.png", tmp_path / "small.png", *options, "--quiet").exit_code == 0
    points = np.loadtxt(tmp_path / "out" / "points.csv", delimiter=",", skiprows=1)
    np.testing.assert_allclose(points, [[99.75, 49.75], [-0.25, 127.25]], atol=0.1)
    np.testing.assert_array_equal(np.asarray(Image.open(tmp_path / "out" / "mask.png")), labels[::2, ::2])
    assert json.loads((tmp_path / "out" / "alignment.json").read_text())["resampled_from"] == [256, 256]


@pytest.mark.parametrize("deep", [(True, True), (True, False), (False, True)])
def test_greys_of_twelve_bits(tmp_path, deep):
    """As microscopes and X-ray write them, in files of 16 bits; and beside an image of 8."""
    camera = load_photographs()["camera"][0]
    for name, columns, bits in zip("ab", (slice(60, 156), slice(64, 160)), deep, strict=True):
        image = camera[60:140, columns]
        Image.fromarray(image.astype(np.uint16) * 16 if bits else image).save(tmp_path / f"{name}.png")
    assert run(tmp_path / "a.png", tmp_path / "b.png", "--out", tmp_path / "out", "--quiet").exit_code == 0
    numbers = json.loads((tmp_path / "out" / "alignment.json").read_text())
    np.testing.assert_allclose(numbers["shift"], [-4, 0], atol=0.1)
    warped = np.asarray(Image.open(tmp_path / "out" / "warped.png"))
    assert warped.dtype == (np.uint16 if deep[0] else np.uint8) and warped.max() > (3000 if deep[0] else 190)


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


@pytest.mark.parametrize(
    "text, message",
    [
        ("x,y\n1,2\n3\n", "line 3 is '3'"),
        ("1,2\n1,nan\n", "line 2 is '1,nan', expected two finite numbers"),
        ("x,y\n", "expected lines of two"),
        ("40;40\n50,50\n", "line 1 is '40;40'"),
        ("40,40,a\n50,50\n", "line 1 is '40,40,a'"),
        ("1," * 100_000 + "\n", "line 1 is '1,1,1,"),
        ("9" * 200_000, "field larger than field limit"),
    ],
)
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
