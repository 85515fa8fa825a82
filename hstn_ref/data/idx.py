"""The IDX format of the MNIST files.

An IDX file is big-endian: two zero bytes, a code for the element type, the number of dimensions D, D sizes of
four bytes each, then the elements in C order. The files are often compressed with gzip.
"""

from __future__ import annotations

import gzip
import math
import os
import zlib
from pathlib import Path

import numpy as np

from hstn_ref.errors import DataError, FileError

_TYPES = {0x08: ">u1", 0x09: ">i1", 0x0B: ">i2", 0x0C: ">i4", 0x0D: ">f4", 0x0E: ">f8"}


def read_idx(path: str | os.PathLike[str]) -> np.ndarray:
    """The array in an IDX file, plain or gzip-compressed (whatever its name), in the machine's byte order.

    Raises FileError if the file cannot be read, DataError if its content is not a complete IDX array.
    """
    content = unzip(read_bytes(path), path)
    if len(content) < 4:
        raise DataError(f"{path}: the file has {len(content)} bytes, expected an IDX header of at least 4")
    zeros, code, dimensions = content[:2], content[2], content[3]
    if zeros != b"\0\0" or code not in _TYPES:
        raise DataError(f"{path}: the file starts with bytes {content[:4].hex(' ')}, expected 00 00 TYPE RANK")
    if dimensions > 32:  # NumPy's limit, long before which no file is meant
        raise DataError(f"{path}: the header has {dimensions} dimensions, expected at most 32")
    start = 4 + 4 * dimensions
    if len(content) < start:
        raise DataError(f"{path}: the file has {len(content)} bytes, expected an IDX header of {start}")
    shape = tuple(int(size) for size in np.frombuffer(content, ">u4", dimensions, offset=4))
    dtype = np.dtype(_TYPES[code])
    expected = start + math.prod(shape) * dtype.itemsize
    if len(content) != expected:
        raise DataError(f"{path}: the file has {len(content)} bytes, its header {shape} expects {expected}")
    return np.frombuffer(content, dtype, offset=start).reshape(shape).astype(dtype.newbyteorder("="))


def read_bytes(path: str | os.PathLike[str]) -> bytes:
    """The content of a file. Raises FileError."""
    try:
        return Path(path).read_bytes()
    except OSError as error:
        raise FileError(f"cannot read {path}: {error.strerror}") from error


def unzip(content: bytes, name: str | os.PathLike[str]) -> bytes:
    """`content`, decompressed if it starts as a gzip file does. Raises DataError, with the given name."""
    if not content.startswith(b"\x1f\x8b"):
        return content
    try:
        return gzip.decompress(content)
    except (OSError, EOFError, zlib.error) as error:
        raise DataError(f"{name}: the gzip data ({len(content)} bytes) are damaged or cut short: {error}") from error
