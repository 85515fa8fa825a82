"""The same bits at any number of threads: twenty training steps, in a process that may use four."""

import os
import subprocess
import sys

import pytest

TRAIN = """
import hashlib, sys
import numba, numpy as np
from autodiff.optim import Adam
from hstn_ref import models
name, preset, batch, size = sys.argv[1], sys.argv[2], int(sys.argv[3]), int(sys.argv[4])
for threads in (1, 2, 4):
    numba.set_num_threads(threads)
    rng = np.random.default_rng(0)
    options = {"image_size": (size, size), **({"preset": preset} if name == "hstn" else {})}
    model = models.build(name, **options).train()
    optimiser = Adam(model.parameters(), lr=1e-3)
    for _ in range(20):
        images, labels = rng.random((batch, 1, size, size), np.float32), rng.integers(0, 10, batch)
        optimiser.zero_grad()
        model.loss(images, labels).backward()
        optimiser.step()
    weights = b"".join(p.data.tobytes() for p in model.parameters())
    print(hashlib.sha256(weights).hexdigest())
"""


def weights_after_20_steps(*arguments):
    """A hash of the weights for 1, 2 and 4 threads; more threads than cores are slow, not wrong."""
    ran = subprocess.run(
        [sys.executable, "-c", TRAIN, *arguments],
        env={**os.environ, "NUMBA_NUM_THREADS": "4"},
        capture_output=True,
        text=True,
    )
    assert ran.returncode == 0, ran.stderr
    return ran.stdout.split()


def test_hstn():
    hashes = weights_after_20_steps("hstn", "tiny", "9", "44")
    assert len(hashes) == 3 and len(set(hashes)) == 1


@pytest.mark.slow
@pytest.mark.parametrize(
    "name, preset", [("cnn", ""), ("affine_stn", ""), ("tps_stn", ""), ("c_stn", ""), ("hstn", "small")]
)
def test_the_networks_of_the_paper(name, preset):
    hashes = weights_after_20_steps(name, preset, "64", "60")
    assert len(hashes) == 3 and len(set(hashes)) == 1
