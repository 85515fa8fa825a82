"""Draw the digits that the package carries from the MNIST files.

    python scripts/make_embedded_digits.py FOLDER

Writes hstn_ref/data/digits.xz (images and labels, in the order of DigitSplits.sha256) and digits.json. The
digits are drawn at random without replacement, not stratified, with seed 0. Formats compared on all 13,000,
in MB: deflate, as in .npz, 2.09; bz2 1.82; xz 1.76; xz of the ink's mask and of its values apart 1.72; xz of
pixel planes 2.08. Plain xz is 0.04 MB from the best, and reading it needs no decoder of our own.
"""

import hashlib
import json
import lzma
import sys
from pathlib import Path

import numpy as np

from hstn_ref.data.digits import MNIST_SHA256, Digits, DigitSplits, find_idx, load_mnist
from hstn_ref.data.idx import read_bytes, unzip
from hstn_ref.files import atomic_write

SEED = 0
COUNTS = {"train": 10_000, "valid": 1_000, "test": 2_000}
PRESET = 9 | lzma.PRESET_EXTREME
XZ = {"id": lzma.FILTER_LZMA2, "preset": PRESET, "dict_size": 1 << 24, "lc": 4, "lp": 0, "pb": 0}


def main(folder: Path) -> None:
    for name, expected in MNIST_SHA256.items():
        found = hashlib.sha256(unzip(read_bytes(find_idx(folder, name)), name)).hexdigest()
        if found != expected:
            sys.exit(f"{folder}: {name} has the SHA-256 {found}, expected MNIST's {expected}")
    rng = np.random.default_rng(SEED)
    drawn = []
    for split, count in zip(load_mnist(folder), COUNTS.values(), strict=True):
        chosen = rng.choice(len(split.labels), count, replace=False)
        drawn.append(Digits(split.images[chosen], split.labels[chosen]))
    sample = DigitSplits(*drawn)
    content = b"".join(array.tobytes() for split in sample for array in split)
    about = {
        "what": "28x28 handwritten digits, uint8: images then labels of train, valid, test",
        "splits": COUNTS,
        "sha256": sample.sha256(),
        "provenance": "MNIST by Yann LeCun and Corinna Cortes: train is drawn from training digits 0..49999, "
        f"valid from 50000..59999, test from the 10,000 test digits; default_rng({SEED}).choice",
        "mnist_sha256": MNIST_SHA256,
        "licence": "CC BY-SA 3.0, as usually quoted for MNIST; the package's own licence does not cover it",
    }
    package = Path(__file__).parents[1] / "hstn_ref" / "data"
    with atomic_write(package / "digits.xz") as temporary_path:
        temporary_path.write_bytes(lzma.compress(content, filters=[XZ]))
    with atomic_write(package / "digits.json") as temporary_path:
        temporary_path.write_text(json.dumps(about, indent=2) + "\n", encoding="utf-8")
    print(f"{package / 'digits.xz'}: {(package / 'digits.xz').stat().st_size:,} bytes")


if __name__ == "__main__":
    main(Path(sys.argv[1]))
