import gzip
import struct

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as hnp

from hstn_ref.data import read_idx
from hstn_ref.errors import DataError, FileError

from .samples import idx_bytes

CODES = {"u1": 8, "i1": 9, "i2": 11, "i4": 12, "f4": 13, "f8": 14}


@given(data=st.data(), code=st.sampled_from(sorted(CODES)), pack=st.booleans())
def test_every_type_and_shape(tmp_path_factory, data, code, pack):
    array = data.draw(hnp.arrays(code, hnp.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=5)))
    content = struct.pack(f">BBBB{array.ndim}I", 0, 0, CODES[code], array.ndim, *array.shape)
    content += array.astype(array.dtype.newbyteorder(">")).tobytes()
    path = tmp_path_factory.mktemp("idx") / "file"
    path.write_bytes(gzip.compress(content) if pack else content)
    found = read_idx(path)
    assert found.dtype == array.dtype and found.dtype.isnative
    np.testing.assert_array_equal(found, array)


GOOD = idx_bytes(np.arange(24).reshape(2, 3, 4))


@pytest.mark.parametrize(
    ("content", "sentence"),
    [
        (b"", "the file has 0 bytes, expected an IDX header of at least 4"),
        (b"\x89PNG" + GOOD[4:], "the file starts with bytes 89 50 4e 47, expected 00 00 TYPE RANK"),
        (b"\0\0\x07\x03" + GOOD[4:], "the file starts with bytes 00 00 07 03, expected 00 00 TYPE RANK"),
        (b"\0\0\x08\xff" + bytes(4 * 255), "the header has 255 dimensions, expected at most 32"),
        (GOOD[:9], "the file has 9 bytes, expected an IDX header of 16"),
        (GOOD[:-1], r"the file has 39 bytes, its header \(2, 3, 4\) expects 40"),
        (GOOD + b"\0", r"the file has 41 bytes, its header \(2, 3, 4\) expects 40"),
        (gzip.compress(GOOD, mtime=0)[:-9], "the gzip data .* are damaged or cut short"),
        (gzip.compress(GOOD, mtime=0)[:5], "the gzip data .* are damaged or cut short"),
        (gzip.compress(GOOD, mtime=0)[:-8] + bytes(8), "the gzip data .* are damaged or cut short: CRC"),
    ],
)
def test_a_damaged_file_is_one_sentence(tmp_path, content, sentence):
    path = tmp_path / "digits-idx3-ubyte"
    path.write_bytes(content)
    with pytest.raises(DataError, match=f"^{path}: {sentence}"):
        read_idx(path)


def test_a_missing_file_and_a_folder(tmp_path):
    with pytest.raises(FileError, match=r"cannot read .*nowhere: No such file"):
        read_idx(tmp_path / "nowhere")
    with pytest.raises(FileError, match=r"cannot read .*: Is a directory"):
        read_idx(tmp_path)
