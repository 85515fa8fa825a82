"""Which voice computes an op, told from packages made for the occasion."""

import contextvars
import json
import os
import subprocess
import sys

import numpy as np
import pytest

from autodiff import backend, use

FORK = """
import os, sys
import numpy as np
from autodiff import ops, use

def mean(voice):
    with use(voice):
        return ops.relu(np.arange(-50_000.0, 50_000.0).reshape(1, 1, 100, 1000)).data.mean()

if sys.argv[1] == "used":
    mean("cpu")
child = os.fork()
if child == 0:
    try:
        mean("reference")
        mean("cpu")
    except RuntimeError as error:
        print(error, flush=True)
        os._exit(3)
    os._exit(0)
print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""


THREADS = """
import json
from concurrent.futures import ThreadPoolExecutor
import numpy as np
from autodiff import backend

def counts():
    return [pool.get_num_threads() for pool in backend._blas_pools()]

def inside():
    with backend.one_blas_thread():
        return counts()

with ThreadPoolExecutor() as pool:
    print(json.dumps([counts(), inside(), pool.submit(inside).result(), counts()]))
"""


@pytest.mark.skipif(not hasattr(os, "fork"), reason="no fork on this system")
@pytest.mark.parametrize("state", ["used", "unused"])
def test_a_forked_process_says_why_it_cannot_compute(state):
    """Instead of being ended by OpenMP, for which a pool of workers would wait for ever."""
    environment = {**os.environ, "NUMBA_NUM_THREADS": "2", "NUMBA_THREADING_LAYER": "omp"}
    ran = subprocess.run(
        [sys.executable, "-c", FORK, state], capture_output=True, text=True, env=environment, timeout=120
    )
    if state == "used":
        assert "relu: this process was forked after its parent had used the cpu voice" in ran.stdout
        assert ran.stdout.endswith("3\n")
    else:
        assert ran.stdout == "0\n"


@pytest.fixture
def op(tmp_path, monkeypatch):
    """A package with a reference voice, a cpu voice that needs a missing module, and no gpu voice."""
    package = tmp_path / "some_op"
    package.mkdir()
    (package / "__init__.py").write_text("")
    (package / "reference.py").write_text("voice = 'reference'")
    (package / "cpu.py").write_text("import a_missing_module")
    monkeypatch.syspath_prepend(tmp_path)
    yield "some_op"
    for name in [name for name in sys.modules if name.partition(".")[0] == "some_op"]:
        del sys.modules[name]


class FakeCupyArray:
    """What `choose` looks at is the module that defines the type."""


FakeCupyArray.__module__ = "cupy._core.core"


def chosen(x=None):
    return backend.choose("autodiff.ops.conv2d", np.zeros(1) if x is None else x).__name__.rpartition(".")[2]


def test_arrays_of_numpy_go_to_the_cpu_voice_by_default():
    assert chosen() == "cpu"


def test_use_switches_and_switches_back():
    with use("reference"):
        assert chosen() == "reference"
        with use("cpu"):
            assert chosen() == "cpu"
        assert chosen() == "reference"
    assert chosen() == "cpu"


def test_a_use_may_be_entered_again():
    again = use("reference")
    with again:
        pass
    with again:
        assert chosen() == "reference"
    assert chosen() == "cpu"


def test_use_switches_back_after_an_exception():
    with pytest.raises(KeyError), use("reference"):
        raise KeyError
    assert chosen() == "cpu"


def test_use_holds_for_its_own_context():
    with use("reference"):
        assert contextvars.Context().run(chosen) == "cpu"


@pytest.mark.parametrize("voice", ["torch", "", "Reference"])
def test_a_name_that_is_no_voice(voice):
    with (
        pytest.raises(ValueError, match=f"^use: unknown voice '{voice}', expected one of reference, cpu, gpu$"),
        use(voice),
    ):
        pass


def test_the_type_of_the_array_is_the_device(op):
    assert backend.on_gpu(FakeCupyArray())
    assert not backend.on_gpu(np.zeros(1))
    with use("reference"):
        assert backend.choose(op, np.zeros(1)).voice == "reference"
        with pytest.raises(RuntimeError, match=r"^some_op: there is no gpu voice$"):
            backend.choose(op, FakeCupyArray())


def test_the_gpu_voice_takes_no_arrays_of_numpy():
    with (
        use("gpu"),
        pytest.raises(RuntimeError, match=r"^conv2d: the gpu voice computes on CuPy arrays, got a NumPy array$"),
    ):
        chosen()


def test_a_missing_voice_is_an_error(op):
    with pytest.raises(RuntimeError, match=r"^some_op: there is no gpu voice$"):
        backend.choose(op, FakeCupyArray())


def test_a_missing_requirement_is_named(op):
    with pytest.raises(RuntimeError, match=r"^some_op: the cpu voice needs a_missing_module, which is not installed$"):
        backend.choose(op, np.zeros(1))


def test_use_as_a_statement_lasts_until_the_next():
    with use("cpu"):
        use("reference")
        assert chosen() == "reference"
        use("cpu")
        assert chosen() == "cpu"


def test_blas_has_one_thread_in_whichever_thread_asks():
    """NumPy's own pools, asked in one thread after another; with a single core there is nothing to see."""
    two = {**os.environ, **dict.fromkeys(("OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "OMP_NUM_THREADS"), "2")}
    found = subprocess.run([sys.executable, "-c", THREADS], capture_output=True, text=True, check=True, env=two)
    before, main, worker, after = json.loads(found.stdout)
    assert main == worker == [1] * len(before)
    assert after == before


def test_the_last_thread_to_leave_gives_blas_its_threads_back(monkeypatch):
    class Pool:
        count = 2

        def get_num_threads(self):
            return self.count

        def set_num_threads(self, count):
            self.count = count

    pool = Pool()
    monkeypatch.setattr(backend, "_blas_pools", lambda: [pool])
    first, second = backend.one_blas_thread(), backend.one_blas_thread()
    first.__enter__()
    second.__enter__()
    first.__exit__()
    assert pool.count == 1
    second.__exit__()
    assert pool.count == 2
