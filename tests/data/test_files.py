import os

import pytest

from hstn_ref.errors import FileError
from hstn_ref.files import atomic_write


def test_content_appears_at_the_end_and_nothing_else_does(tmp_path):
    path = tmp_path / "new" / "model.npz"
    with atomic_write(path) as part:
        assert part.parent == path.parent and part.suffix == ".npz"
        part.write_bytes(b"new")
        assert not path.exists()
    assert path.read_bytes() == b"new"
    assert os.listdir(path.parent) == ["model.npz"]


@pytest.mark.parametrize("error", [RuntimeError, KeyboardInterrupt])
def test_an_interrupted_write_leaves_the_old_file(tmp_path, error):
    path = tmp_path / "file.txt"
    path.write_text("old")
    with pytest.raises(error), atomic_write(path) as part:
        part.write_text("half")
        raise error
    assert path.read_text() == "old"
    assert os.listdir(tmp_path) == ["file.txt"]


def test_a_body_that_leaves_no_file_is_an_error(tmp_path):
    with pytest.raises(FileNotFoundError), atomic_write(tmp_path / "file") as part:
        part.unlink()
    assert os.listdir(tmp_path) == []


def test_the_content_is_on_the_disk_before_the_name_is(tmp_path, monkeypatch):
    calls = []
    fsync, replace = os.fsync, os.replace
    monkeypatch.setattr(os, "fsync", lambda fd: (calls.append("fsync"), fsync(fd)))
    monkeypatch.setattr(os, "replace", lambda a, b: (calls.append("replace"), replace(a, b)))
    with atomic_write(tmp_path / "file") as part:
        part.write_text("x")
    assert calls[:2] == ["fsync", "replace"]


def test_permissions_follow_the_umask(tmp_path):
    umask = os.umask(0o027)
    try:
        with atomic_write(tmp_path / "file") as part:
            part.write_text("x")
    finally:
        os.umask(umask)
    assert (tmp_path / "file").stat().st_mode & 0o777 == 0o640


def test_a_symbolic_link_stays_one(tmp_path):
    (tmp_path / "link").symlink_to(tmp_path / "target")
    with atomic_write(tmp_path / "link") as part:
        part.write_text("x")
    assert (tmp_path / "link").is_symlink() and (tmp_path / "target").read_text() == "x"


def test_a_folder_that_cannot_be_is_one_sentence(tmp_path):
    (tmp_path / "file").write_text("in the way")
    with (
        pytest.raises(FileError, match=r"cannot write .*x\.h5: .*file is not a folder"),
        atomic_write(tmp_path / "file" / "x.h5"),
    ):
        raise AssertionError("the body must not run")


@pytest.mark.parametrize("path", ["", os.devnull])
def test_what_is_no_regular_file_is_not_replaced(tmp_path, path):
    with pytest.raises(FileError, match="exists and is not a regular file"), atomic_write(tmp_path / path):
        raise AssertionError("the body must not run")
