import io
import pickle
import zipfile

import numpy as np
import pytest

from hstn_ref.data import read_npz
from hstn_ref.errors import DataError, DataTypeError, FileError

COUNTS = {"train": 6, "valid": 3, "test": 4}
RNG = np.random.default_rng(0)
IMAGES = {name: RNG.random((n, 8, 8), dtype=np.float32) for name, n in COUNTS.items()}
LABELS = {name: RNG.integers(0, 10, n) for name, n in COUNTS.items()}

SHAPES = {
    "flat": lambda x: x.reshape(len(x), -1),
    "with a channel": lambda x: x[:, None],
    "plain": lambda x: x,
    "double": lambda x: x.astype(np.float64),
    "big-endian": lambda x: x.astype(">f4"),
}
CODINGS = {
    "one-hot": lambda y: np.eye(10, dtype=np.float32)[y],
    "integer": lambda y: y,
    "bytes": lambda y: y.astype(np.uint8),
    "one-hot bits": lambda y: np.eye(10, dtype=bool)[y],
}


def arrays(x=SHAPES["flat"], y=CODINGS["one-hot"]):
    return {f"x_{name}": x(IMAGES[name]) for name in COUNTS} | {f"y_{name}": y(LABELS[name]) for name in COUNTS}


@pytest.mark.parametrize("shape", SHAPES)
@pytest.mark.parametrize("coding", CODINGS)
def test_every_layout(tmp_path, shape, coding):
    np.savez_compressed(tmp_path / "data.npz", **arrays(SHAPES[shape], CODINGS[coding]))
    for name, split in read_npz(tmp_path / "data.npz").items():
        images, labels = split.batch(range(COUNTS[name]))
        np.testing.assert_array_equal(images[:, 0], IMAGES[name])
        np.testing.assert_array_equal(labels, LABELS[name])


def test_grey_levels_stay_bytes(tmp_path):
    levels = (IMAGES["train"] * 255).astype(np.uint8)
    np.savez(tmp_path / "data.npz", **{**arrays(), "x_train": levels})
    images, _ = read_npz(tmp_path / "data.npz").train.batch(range(6))
    np.testing.assert_array_equal(images[:, 0], levels / np.float32(255))


@pytest.mark.parametrize(
    ("key", "array", "error", "sentence"),
    [
        (
            "x_train",
            np.zeros((6, 65)),
            DataError,
            r"x_train: the shape is \(6, 65\), expected \(n, side \* side\)",
        ),
        ("x_train", np.zeros((6, 3, 8, 8)), DataError, r"x_train: the shape is \(6, 3, 8, 8\)"),
        ("x_valid", np.zeros((3, 64), complex), DataTypeError, "x_valid: elements are complex128"),
        ("x_valid", np.zeros((3, 64), np.int64), DataTypeError, "x_valid: elements are int64"),
        ("x_valid", np.full((3, 64), 7.0), DataError, r"valid: images span 7\.0\.\.7\.0"),
        ("x_test", np.full((4, 64), np.nan), DataError, r"test: images: element \(0, 0, 0\) is nan"),
        ("x_test", np.zeros((5, 64)), DataError, r"test: labels: shape is \(4,\), expected \(5,\)"),
        ("x_test", np.zeros((4, 49)), DataError, "the splits have images of different sizes"),
        ("y_train", np.zeros((6, 9)), DataError, r"y_train: the shape is \(6, 9\), expected class numbers"),
        ("y_train", np.zeros((6, 10)), DataError, "y_train: row 0 is .* expected one 1 among zeros"),
        ("y_train", np.eye(10)[[0, 1, 2, 3, 4, 5]] * 2, DataError, "y_train: row 0 is"),
        ("y_train", np.full((6, 10), np.inf), DataError, r"y_train: element \(0, 0\) is inf"),
        ("y_train", np.zeros((6, 10), "U1"), DataTypeError, "y_train: elements are <U1"),
        ("y_valid", np.array([1, 2, 10]), DataError, "valid: labels: element 2 is 10"),
        ("y_valid", np.array([1.0, 2.0, 3.0]), DataTypeError, "valid: labels: elements are float64"),
    ],
)
def test_a_wrong_array_is_one_sentence(tmp_path, key, array, error, sentence):
    np.savez(tmp_path / "data.npz", **{**arrays(), key: array})
    with pytest.raises(error, match=sentence):
        read_npz(tmp_path / "data.npz")


def test_missing_keys_are_named(tmp_path):
    np.savez(tmp_path / "data.npz", X_train=np.zeros(3), **{k: v for k, v in arrays().items() if k != "y_test"})
    with pytest.raises(DataError, match=r"the keys \['y_test'\] are missing, the file has \['X_train', 'x_test'"):
        read_npz(tmp_path / "data.npz")


def test_a_truncated_file_at_any_place(tmp_path):
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays())
    content = packed.getvalue()
    for size in (0, 1, 3, 100, len(content) // 2, len(content) - 1):
        (tmp_path / "data.npz").write_bytes(content[:size])
        with pytest.raises(DataError, match=r"data\.npz: the \.npz file is damaged or no \.npz file"):
            read_npz(tmp_path / "data.npz")


def test_flipped_bits_are_noticed(tmp_path):
    packed = io.BytesIO()
    np.savez_compressed(packed, **arrays())
    content = bytearray(packed.getvalue())
    content[200] ^= 4  # in the compressed pixels of x_train
    (tmp_path / "data.npz").write_bytes(content)
    with pytest.raises(DataError, match=r"data\.npz: the \.npz file is damaged"):
        read_npz(tmp_path / "data.npz")


def test_a_header_that_is_no_python(tmp_path):
    packed = io.BytesIO()
    np.savez(packed, **arrays())
    content = packed.getvalue()
    assert b"'shape'" in content and content.count(b"), }") == 6
    (tmp_path / "data.npz").write_bytes(content.replace(b"), }", b"),  "))  # nothing closes the brace
    with pytest.raises(DataError, match=r"data\.npz: the \.npz file is damaged"):
        read_npz(tmp_path / "data.npz")


class Trap:
    def __reduce__(self):
        return (pytest.fail, ("the file was unpickled",))


def test_nothing_is_unpickled(tmp_path):
    (tmp_path / "data.npz").write_bytes(pickle.dumps(Trap()))
    with pytest.raises(DataError, match=r"damaged or no \.npz file"):
        read_npz(tmp_path / "data.npz")
    array = np.empty(6, object)
    array[:] = Trap()
    np.savez(tmp_path / "data.npz", **{**arrays(), "y_train": array})
    with pytest.raises(DataError, match=r"damaged or no \.npz file: Object arrays cannot be loaded"):
        read_npz(tmp_path / "data.npz")


def test_other_files(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*nowhere\.npz: No such file"):
        read_npz(tmp_path / "nowhere.npz")
    with open(tmp_path / "one.npz", "wb") as file:
        np.save(file, np.zeros(3))
    with pytest.raises(DataError, match=r"the file holds one array, expected an \.npz archive"):
        read_npz(tmp_path / "one.npz")
    with zipfile.ZipFile(tmp_path / "zip.npz", "w") as archive:
        archive.writestr("x_train.txt", "no array")
    with pytest.raises(DataError, match=r"the keys \['x_train', .* are missing"):
        read_npz(tmp_path / "zip.npz")
