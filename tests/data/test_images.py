import hashlib
import json
from importlib.resources import files

import numpy as np
import pytest
from PIL import Image

from hstn_ref.data import images as module
from hstn_ref.data import load_photographs, read_folder, read_image, to_eight_bits, to_grey
from hstn_ref.errors import DataError, FileError


def random_rgb(shape=(5, 7)):
    return np.random.default_rng(0).integers(0, 256, (*shape, 3)).astype(np.uint8)


@pytest.mark.parametrize("suffix", ["png", "bmp", "tif"])
def test_colour_comes_channels_first(tmp_path, suffix):
    rgb = random_rgb()
    Image.fromarray(rgb).save(tmp_path / f"a.{suffix}")
    np.testing.assert_array_equal(read_image(tmp_path / f"a.{suffix}"), rgb.transpose(2, 0, 1))


@pytest.mark.parametrize("mode", ["L", "P", "RGB", "RGBA"])
def test_what_is_grey_has_one_channel_in_every_mode(tmp_path, mode):
    """The RASL faces are bitmaps with a palette of greys."""
    grey = random_rgb()[..., 0]
    Image.fromarray(grey).convert(mode).save(tmp_path / "a.png")
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), grey[None])


DEEP = np.array([[0, 128, 129, 4095], [256, 257, 65406, 65535]], np.uint16)


@pytest.mark.parametrize(("suffix", "dtype"), [("png", "<u2"), ("tif", "<u2"), ("tif", ">u2"), ("tif", "<i4")])
def test_sixteen_bits_of_grey_are_kept(tmp_path, suffix, dtype):
    Image.fromarray(DEEP.astype(dtype)).save(tmp_path / f"a.{suffix}")
    found = read_image(tmp_path / f"a.{suffix}")
    assert found.dtype == np.uint16
    np.testing.assert_array_equal(found, DEEP[None])


def test_sixteen_bits_are_stretched_to_eight():
    """12 bits in 16 keep 256 grey levels; eight bits are what they were."""
    ramp = np.arange(100, 4196, dtype=np.uint16).reshape(1, 64, 64)
    found = to_eight_bits(ramp)
    assert found.dtype == np.uint8
    expected = [round((int(level) - 100) * 255 / 4095) for level in ramp.ravel()]
    np.testing.assert_array_equal(found.ravel(), expected)
    np.testing.assert_array_equal(to_eight_bits(found[:, :3] // 2), found[:, :3] // 2)
    assert not to_eight_bits(np.full((1, 2, 2), 7, np.uint16)).any()


@pytest.mark.parametrize(
    ("pixels", "message"),
    [
        (np.array([[0.0, 0.5], [1.0, np.nan]], np.float32), "the pixels are floating-point numbers, expected 8 or 16"),
        (np.array([[0, 65536]], np.int32), r"the pixels span 0\.\.65536, expected 0\.\.65535"),
        (np.array([[-1, 3]], np.int32), r"the pixels span -1\.\.3, expected 0\.\.65535"),
    ],
)
def test_pixels_beyond_sixteen_bits_are_named(tmp_path, pixels, message):
    Image.fromarray(pixels).save(tmp_path / "a.tif")
    with pytest.raises(DataError, match=f"^{tmp_path}/a.tif: {message}"):
        read_image(tmp_path / "a.tif")


def test_a_camera_that_was_held_upright(tmp_path):
    """Orientation 6: what the file has as its first column is the top row, from right to left."""
    rgb, exif = random_rgb(), Image.Exif()
    exif[0x0112] = 6
    Image.fromarray(rgb).save(tmp_path / "a.png", exif=exif)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), np.rot90(rgb, -1).transpose(2, 0, 1))


def test_transparency_is_named(tmp_path):
    rgba = np.full((4, 4, 4), 255, np.uint8)
    rgba[2, 1, 3] = 254
    Image.fromarray(rgba).save(tmp_path / "a.png")
    with pytest.raises(DataError, match=r"a\.png: the image has transparent pixels, expected an opaque one"):
        read_image(tmp_path / "a.png")


def test_files_that_are_no_images(tmp_path):
    (tmp_path / "a.png").write_bytes(b"not an image")
    whole = tmp_path / "whole.png"
    Image.fromarray(random_rgb((64, 64))).save(whole)
    (tmp_path / "cut.png").write_bytes(whole.read_bytes()[:2000])
    content = bytearray(whole.read_bytes())
    content[33:37] = (1000).to_bytes(4, "big")  # the length of the pixels: after them Pillow raises a SyntaxError
    (tmp_path / "length.png").write_bytes(content)
    for name in ("a.png", "cut.png", "length.png", "missing.png"):
        with pytest.raises(FileError, match=f"{name}: the file cannot be read as an image"):
            read_image(tmp_path / name)


def test_a_folder_is_read_in_the_order_of_names(tmp_path):
    for name in ("b.PNG", "a.bmp", "c.txt"):
        Image.fromarray(random_rgb()).save(tmp_path / name, format="png")
    assert list(read_folder(tmp_path)) == ["a.bmp", "b.PNG"]


def test_folders_without_images(tmp_path):
    with pytest.raises(FileError, match=r"the folder has no images, expected files that end in \.bmp, \.jpeg"):
        read_folder(tmp_path)
    with pytest.raises(FileError, match="there is no such folder"):
        read_folder(tmp_path / "missing")
    (tmp_path / "file").touch()
    with pytest.raises(FileError, match="a file, expected a folder of images"):
        read_folder(tmp_path / "file")


def test_the_photographs():
    photographs = load_photographs()
    about = json.loads((files("hstn_ref.data") / "photographs.json").read_text())["photographs"]
    assert sorted(about) == [f"{name}.png" for name in photographs]
    assert len(photographs) == 10
    assert {image.shape[1:] for image in photographs.values()} == {(256, 256)}
    assert {name for name, image in photographs.items() if len(image) == 1} == {"brick", "camera", "grass", "gravel"}
    assert {entry["licence"] for entry in about.values()} == {"CC0 1.0", "public domain"}
    for name, image in photographs.items():
        pixels = image.transpose(1, 2, 0).tobytes()
        assert hashlib.sha256(pixels).hexdigest() == about[f"{name}.png"]["pixels_sha256"]


def test_a_damaged_photograph_is_noticed(monkeypatch):
    read = module.read_folder
    monkeypatch.setattr(module, "read_folder", lambda path: {name: image ^ 1 for name, image in read(path).items()})
    with pytest.raises(DataError, match="the pixels are damaged; install the package again"):
        load_photographs()


def test_grey_is_the_luma():
    rgb = random_rgb().transpose(2, 0, 1)
    expected = np.asarray(Image.fromarray(random_rgb()).convert("L")).astype(int)
    assert abs(to_grey(rgb)[0].astype(int) - expected).max() <= 1  # Pillow's weights are rounded to 16 bits
    np.testing.assert_array_equal(to_grey(rgb[:1]), rgb[:1])


@pytest.mark.parametrize("dtype", [np.uint16, np.float32])
def test_other_numbers_are_not_made_grey(dtype):
    for channels in (1, 3):
        with pytest.raises(TypeError, match=f"to_grey: the image is {np.dtype(dtype)}, expected uint8"):
            to_grey(np.zeros((channels, 4, 5), dtype))
