"""Downloads from a server on this machine, and from none."""

import functools
import gzip
import hashlib
import os
import socket
import threading
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import numpy as np
import pytest

from hstn_ref.data import download, download_mnist, load_mnist
from hstn_ref.data.digits import MNIST_SHA256
from hstn_ref.errors import DataError, FileError

from .samples import FULL_MNIST, mnist_folder


class Quiet(SimpleHTTPRequestHandler):
    def log_message(self, *arguments):
        """Say nothing."""


@pytest.fixture
def serve(monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    servers = []

    def start(folder):
        server = ThreadingHTTPServer(("127.0.0.1", 0), functools.partial(Quiet, directory=str(folder)))
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        servers.append((server, thread))
        return f"http://127.0.0.1:{server.server_address[1]}/"

    yield start
    for server, thread in servers:
        server.shutdown()
        thread.join()
        server.server_close()


@pytest.fixture
def mirror(tmp_path, monkeypatch):
    """A folder with small digits in the place of MNIST's."""
    folder = mnist_folder(tmp_path / "mirror")
    checksums = {}
    for name in download.MNIST_SHA256:
        content = gzip.decompress((folder / f"{name}.gz").read_bytes())
        checksums[name] = hashlib.sha256(content).hexdigest()
    monkeypatch.setattr(download, "MNIST_SHA256", checksums)
    return folder


def test_four_files_arrive(mirror, serve, tmp_path):
    url, announced = serve(mirror), []
    paths = download_mnist(tmp_path / "new", base_url=url, announce=announced.append)
    assert sorted(p.name for p in paths) == sorted(os.listdir(tmp_path / "new")) == sorted(os.listdir(mirror))
    assert announced == [url + path.name for path in paths]
    np.testing.assert_array_equal(load_mnist(tmp_path / "new").train.images, load_mnist(mirror).train.images)


def test_what_is_there_is_not_fetched_again(mirror, serve, tmp_path):
    url, announced = serve(mirror), []
    download_mnist(tmp_path / "new", base_url=url)
    (tmp_path / "new" / "t10k-labels-idx1-ubyte.gz").unlink()
    download_mnist(tmp_path / "new", base_url=url.rstrip("/"), announce=announced.append)
    assert announced == [url + "t10k-labels-idx1-ubyte.gz"]


def test_it_does_not_matter_how_a_mirror_compresses(mirror, serve, tmp_path):
    for path in mirror.iterdir():
        path.write_bytes(gzip.compress(gzip.decompress(path.read_bytes()), compresslevel=1, mtime=1))
    assert len(download_mnist(tmp_path / "new", base_url=serve(mirror))) == 4


@pytest.mark.parametrize("content", [gzip.compress(b"other", mtime=0), b"<html>not here</html>"])
def test_other_content_is_refused_and_not_kept(mirror, serve, tmp_path, content):
    (mirror / "t10k-images-idx3-ubyte.gz").write_bytes(content)
    url = serve(mirror)
    sentence = rf"{url}t10k-images-idx3-ubyte\.gz: the decompressed content has the SHA-256 .*, expected MNIST's"
    with pytest.raises(DataError, match=sentence):
        download_mnist(tmp_path / "new", base_url=url)
    assert not any("t10k-images" in name for name in os.listdir(tmp_path / "new"))


def test_a_file_cut_short_is_refused_and_not_kept(mirror, serve, tmp_path):
    path = mirror / "train-images-idx3-ubyte.gz"
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz: the gzip data .* cut short"):
        download_mnist(tmp_path / "new", base_url=serve(mirror))
    assert not any("train-images" in name for name in os.listdir(tmp_path / "new"))


def test_a_file_of_another_data_set_is_not_overwritten(mirror, serve, tmp_path):
    path = mnist_folder(tmp_path / "mine", train=18) / "train-images-idx3-ubyte.gz"
    before = path.read_bytes()
    with pytest.raises(DataError, match=r"train-images-idx3-ubyte\.gz \(already there\): the decompressed content"):
        download_mnist(tmp_path / "mine", base_url=serve(mirror))
    assert path.read_bytes() == before


def test_a_server_without_the_file(serve, tmp_path):
    (tmp_path / "empty").mkdir()
    with pytest.raises(FileError, match=r"^cannot fetch http://127.*ubyte\.gz: 404 Client Error"):
        download_mnist(tmp_path / "new", base_url=serve(tmp_path / "empty"))
    assert os.listdir(tmp_path / "new") == []


def test_no_server_is_one_sentence_and_leaves_nothing(tmp_path, monkeypatch):
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))  # bound, but nobody listens
        url = f"http://127.0.0.1:{closed.getsockname()[1]}/"
        with pytest.raises(FileError, match=rf"^cannot fetch {url}train-images-idx3-ubyte\.gz: .*refused"):
            download_mnist(tmp_path / "new", base_url=url)
    assert os.listdir(tmp_path / "new") == []


def test_an_address_that_is_none(tmp_path):
    with pytest.raises(FileError, match=r"^cannot fetch nowhere/train-images-idx3-ubyte\.gz: Invalid URL"):
        download_mnist(tmp_path, base_url="nowhere")


@pytest.mark.parametrize("source", ["mirror", *FULL_MNIST])
def test_files_that_are_there_pass_the_check(mirror, tmp_path, monkeypatch, source):
    """Those of the full MNIST, where it is, pass with the true checksums."""
    if source != "mirror":
        monkeypatch.setattr(download, "MNIST_SHA256", MNIST_SHA256)
    for path in Path(mirror if source == "mirror" else source).glob("*.gz"):
        (tmp_path / path.name).symlink_to(path)
    paths = download_mnist(tmp_path, base_url="http://never.invalid/")
    assert [path.name.removesuffix(".gz") for path in paths] == list(download.MNIST_SHA256)
