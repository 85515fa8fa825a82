"""The quick examples run and end with a picture. (01 trains for a minute or two; `hstn demo` has a test of its own.)"""

import subprocess
import sys
from pathlib import Path

import pytest

EXAMPLES = Path(__file__).parents[1] / "examples"


@pytest.mark.parametrize(
    "name",
    ["02_warp_an_image", "03_check_a_gradient", "04_spatial_transformers", "05_verify_your_op", "06_align_two_images"],
)
def test_an_example_draws_its_picture(name, tmp_path):
    command = [sys.executable, EXAMPLES / f"{name}.py"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    assert (tmp_path / "runs" / "examples" / f"{name}.png").read_bytes().startswith(b"\x89PNG")
