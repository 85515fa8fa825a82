"""Files that are either complete or not there."""

from __future__ import annotations

import os
import secrets
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from pathlib import Path

from hstn_ref.errors import FileError


@contextmanager
def atomic_write(path: str | os.PathLike[str]) -> Iterator[Path]:
    """Let the caller write a temporary file, and move it to `path` only when it is complete.

        with atomic_write("model.npz") as temporary_path:
            np.savez(temporary_path, **arrays)

    The temporary file lies in the folder of `path` (made if missing) and has its suffix. It is flushed to the
    disk before the rename, so even after a power cut `path` holds the old content or the new one, never a
    part. When the body raises, or leaves no file, `path` is untouched and the temporary file is removed. A
    symbolic link is followed, not replaced.

    Raises FileError where no file can be made or `path` is not a regular file.
    """
    target = Path(os.path.realpath(path))
    if target.exists() and not target.is_file():
        raise FileError(f"cannot write {path}: it exists and is not a regular file")
    temporary = target.with_name(f".{target.stem}-{secrets.token_hex(4)}{target.suffix}")
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        os.close(os.open(temporary, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o666))  # 0o666: the umask decides
    except FileExistsError as error:
        raise FileError(f"cannot write {path}: {error.filename} is not a folder") from error
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror} ({error.filename})") from error
    try:
        yield temporary
        _flush(temporary)
        os.replace(temporary, target)
    except BaseException:
        temporary.unlink(missing_ok=True)
        raise
    if os.name == "posix":  # elsewhere a folder cannot be opened, and the rename is durable without
        _flush(target.parent)


@contextmanager
def replaced_together(folder: Path, contents: Mapping[str, bytes]) -> Iterator[None]:
    """Write several files, all or none, but for a crash within the moment in which they change places.

    The block runs when all are complete under temporary names; after it they take their places, the first last.
    Raises FileError, naming the reason, if that is impossible; the previous files are intact then.
    """
    with ExitStack() as stack:
        for name, content in contents.items():
            try:
                stack.enter_context(atomic_write(folder / name)).write_bytes(content)
            except FileError:
                raise
            except OSError as error:
                raise FileError(f"cannot write {folder / name}: {error.strerror}; files there are intact") from error
        yield


def check_folder(folder: str | os.PathLike[str]) -> None:
    """Raise FileError where no results can be put into `folder`, made if missing: to be asked before hours of work."""
    path = Path(folder)
    while not path.exists() and path != path.parent:
        path = path.parent
    if not path.is_dir():
        raise FileError(f"{path} is a file, expected a folder for the results")
    if not os.access(path, os.W_OK | os.X_OK):
        raise FileError(f"{path} cannot be written to, expected a folder for the results")


_held: set[Path] = set()  # folders that this process has locked


@contextmanager
def locked(folder: str | os.PathLike[str]) -> Iterator[None]:
    """Keep other processes from training in `folder`, which is made if missing, until the block ends.

    The lock is the kernel's: no file tells of it, and it goes with the process, however that ends. Within the block
    the same process may ask for the same folder again. Raises FileError if another process has the folder, or if it
    cannot be made. Where there are no such locks (Windows, some network file systems), nothing is locked.
    """
    path = Path(os.path.realpath(folder))
    if path in _held or os.name != "posix":
        yield
        return
    import fcntl

    try:
        path.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDONLY)
    except OSError as error:
        reason = "a file has that name" if isinstance(error, FileExistsError) else error.strerror
        raise FileError(f"cannot write to the folder {folder}: {reason} ({error.filename})") from error
    try:
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            raise FileError(f"{folder}: another process is training there, expected a folder of its own") from error
        except OSError:  # a file system without locks
            pass
        _held.add(path)
        yield
    finally:
        _held.discard(path)
        os.close(descriptor)  # and with it the lock


def write_bytes(path: str | os.PathLike[str], content: bytes) -> None:
    """Write a file with this content, whole or not at all.

    Raises FileError, naming the reason (a full disk, no permission), if that is impossible; a previous file
    is intact then.
    """
    try:
        with atomic_write(path) as temporary:
            temporary.write_bytes(content)
    except FileError:
        raise
    except OSError as error:
        raise FileError(f"cannot write {path}: {error.strerror}; a file there is intact") from error


def _flush(path: Path) -> None:
    descriptor = os.open(path, os.O_RDONLY if path.is_dir() else os.O_RDWR)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
