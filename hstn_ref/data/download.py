"""Fetch MNIST."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Callable
from pathlib import Path

from hstn_ref.data.digits import MNIST_SHA256
from hstn_ref.data.idx import read_bytes, unzip
from hstn_ref.errors import DataError, FileError
from hstn_ref.files import atomic_write

MNIST_URL = "https://ossci-datasets.s3.amazonaws.com/mnist/"


def download_mnist(
    folder: str | os.PathLike[str],
    *,
    base_url: str = MNIST_URL,
    announce: Callable[[str], None] | None = None,
) -> list[Path]:
    """Fetch the four gzip-compressed IDX files of MNIST (11 MB) into `folder`, and return their paths.

    A file appears only when it is complete and its decompressed content has MNIST's SHA-256. Files that are
    there already are checked and kept. `announce(url)` is called before each transfer.

    Raises FileError if a file cannot be fetched or written, DataError if what was fetched, or what is there
    already, is not MNIST.
    """
    import pooch  # here, because it imports an HTTP client that nothing else needs

    fetch = pooch.HTTPDownloader(timeout=30, chunk_size=1 << 16)
    paths = []
    for name, expected in MNIST_SHA256.items():
        path, url = Path(folder) / f"{name}.gz", f"{base_url.rstrip('/')}/{name}.gz"
        if path.exists():
            _check(read_bytes(path), expected, f"{path} (already there)")
        else:
            if announce is not None:
                announce(url)
            with atomic_write(path) as temporary_path:
                try:
                    fetch(url, os.fspath(temporary_path), None)
                except OSError as error:  # every error of the HTTP client is one
                    raise FileError(f"cannot fetch {url}: {_innermost(error)}") from error
                _check(read_bytes(temporary_path), expected, url)
        paths.append(path)
    return paths


def _check(content: bytes, expected: str, name: str) -> None:
    found = hashlib.sha256(unzip(content, name)).hexdigest()
    if found != expected:
        raise DataError(f"{name}: the decompressed content has the SHA-256 {found}, expected MNIST's {expected}")


def _innermost(error: BaseException) -> BaseException:
    """The error that started a chain of them, e.g. a refused connection, whose sentence is the clearest."""
    cause = error.__cause__ or error.__context__
    return error if cause is None else _innermost(cause)
