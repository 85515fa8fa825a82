"""Values and gradients of PyTorch and JAX, for tests/test_golden.py, which needs neither.

    python scripts/export_golden.py torch jax

in an environment with the extra `verify` writes tests/golden/torch.h5 and jax.h5: for every op case its inputs, a
random u, the value y and the gradients of <u, y>; for some networks the loss and the gradients of their small
parameters. The inputs are float32 numbers, computed with in float64. A file holds

    /                      attributes: framework, version, command
    /index                 UTF-8 bytes of a JSON list of [case, what, dtype, shape, start]
    /float32, /float64     all numbers, one array after the other; `start` is where one begins
"""

from __future__ import annotations

import argparse
import hashlib
import io
import json
from collections.abc import Iterator
from pathlib import Path

import h5py
import numpy as np

from autodiff import Tensor, ops
from hstn_ref.files import write_bytes
from hstn_ref.verify.against import Peer, load, their_loss
from hstn_ref.verify.cases import Case, ModelCase, model_cases, op_cases

FOLDER = Path(__file__).resolve().parents[1] / "tests" / "golden"
SMALL = 200  # numbers of a parameter whose gradient is kept
NETWORKS = (
    "CNN",
    "AffineSTN: border edge, coords isotropic",
    "CSTN: 3 steps, coords pixel",
    "HSTN: paper, 2 channels",
    "HSTN: composed, crop first",
    "HSTN: coords pixel, border reflect, halved by convolution",
    "HSTN: norm l2, form hessian, reduction sum",
    "HSTN: flow in normalised units, first warp detached",
    "HSTN: align, tiny",
)

Entry = tuple[str, str, np.ndarray]  # case, what, the numbers


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("frameworks", nargs="+", choices=("torch", "jax"))
    for name in parser.parse_args().frameworks:
        peer = load(name)
        entries = [entry for case in op_cases() for entry in op_entries(case, peer)]
        entries += [e for case in model_cases() if case.name in NETWORKS for e in model_entries(case, peer)]
        path = FOLDER / f"{name}.h5"
        command = f"python scripts/export_golden.py {name}"
        write_bytes(path, encode(entries, framework=peer.ops.NAME, version=peer.ops.version(), command=command))
        print(f"{path}: {path.stat().st_size / 1000:.0f} kB")


def op_entries(case: Case, peer: Peer) -> Iterator[Entry]:
    inputs = [a.astype(np.float32) for a in case.arrays]
    arrays = [a.astype(np.float64) for a in inputs]
    u = np.random.default_rng(1).standard_normal(case.fun(ops, *map(Tensor, arrays)).shape).astype(np.float32)
    y, gradients = peer.ops.value_and_gradients(lambda *xs: case.fun(peer.ops, *xs), arrays, u.astype(np.float64))
    yield from ((case.name, f"input {i}", a) for i, a in enumerate(inputs))
    yield case.name, "u", u
    yield case.name, "value", y
    yield from ((case.name, f"gradient {i}", g) for i, g in enumerate(gradients))


def model_entries(case: ModelCase, peer: Peer) -> Iterator[Entry]:
    loss, gradients = their_loss(case, "float64", peer)
    yield case.name, f"weights {digest(case)}", np.zeros(0)
    yield case.name, "value", loss
    yield from ((case.name, f"gradient {name}", g) for name, g in gradients.items() if g.size <= SMALL)


def digest(case: ModelCase) -> str:
    """What tells whether a network and its images are those of a golden file."""
    numbers = [case.images, case.truth, *case.build().state().values()]
    rounded = (np.round(a, 9).tobytes() for a in numbers)  # log of another C library may differ in the last place
    return hashlib.sha256(b"".join(rounded)).hexdigest()[:16]


def encode(entries: list[Entry], **attributes: str) -> bytes:
    index, numbers = [], {"float32": [np.zeros(0, np.float32)], "float64": [np.zeros(0)]}
    for case, what, a in entries:
        parts = numbers[str(a.dtype)]
        index.append([case, what, str(a.dtype), a.shape, sum(part.size for part in parts)])
        parts.append(a.ravel())
    content = io.BytesIO()
    with h5py.File(content, "w") as file:
        file.attrs.update(attributes)
        file["index"] = np.frombuffer(json.dumps(index).encode(), np.uint8)
        for dtype, parts in numbers.items():
            file.create_dataset(dtype, data=np.concatenate(parts), compression="gzip", shuffle=True, track_times=False)
    return content.getvalue()


def decode(path: Path) -> dict[str, dict[str, np.ndarray]]:
    """The arrays of a golden file: {case: {what: array}}."""
    found: dict[str, dict[str, np.ndarray]] = {}
    with h5py.File(path) as file:
        numbers = {dtype: file[dtype][()] for dtype in ("float32", "float64")}
        for case, what, dtype, shape, start in json.loads(file["index"][()].tobytes()):
            a = numbers[dtype][start : start + int(np.prod(shape))].reshape(shape)
            found.setdefault(case, {})[what] = a
    return found


if __name__ == "__main__":
    main()
