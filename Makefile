# Everything a clean checkout needs is python3 (3.11 to 3.13) and make. `make PYTHON=python3.12 setup` chooses another
# interpreter when .venv is made; `make clean` removes .venv again.
PYTHON ?= python3
JOBS ?= 2

RUNTIME = .venv/.installed
DEV = .venv/.installed-dev
VERIFY = .venv/.installed-verify
DOCS = .venv/.installed-docs

# What is compiled from vector instructions.
KERNELS = tests/test_simd.py tests/ops/test_conv2d.py tests/ops/test_conv2d_filters.py tests/ops/test_conv2d_winograd.py \
  tests/ops/test_conv_transpose2d.py tests/ops/test_max_pool2d.py

.DEFAULT_GOAL = help
.PHONY: help setup demo test test-slow test-vectors lint mutants verify bench docs clean

help: ## show this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-13s  %s\n", $$1, $$2 }' Makefile

setup: $(DEV) ## .venv with hstn-ref and the tools of a developer

demo: $(RUNTIME) ## the quick demonstration: `hstn demo`
	.venv/bin/hstn demo

test: $(DEV) ## all tests but the slow ones and those that need PyTorch and JAX
	.venv/bin/python -m pytest -n $(JOBS)

test-slow: $(DEV) ## the slow ones too
	.venv/bin/python -m pytest -n $(JOBS) -m "not verify"

test-vectors: $(DEV) ## the tests of the kernels as for other processors: no AVX2, and AVX2 without AVX-512
	NUMBA_CPU_NAME=x86-64 NUMBA_CPU_FEATURES=+sse2 .venv/bin/python -m pytest -n $(JOBS) $(KERNELS)
	NUMBA_CPU_NAME=haswell NUMBA_CPU_FEATURES=+avx2,+fma,-avx512f .venv/bin/python -m pytest -n $(JOBS) $(KERNELS)

lint: $(DEV) ## ruff and mypy
	.venv/bin/ruff check .
	.venv/bin/ruff format --check .
	.venv/bin/mypy

mutants: $(DEV) ## plant one fault at a time: every one must be caught by a test
	.venv/bin/python scripts/mutants.py

# Where pip finds only PyTorch's builds for CUDA, PIP_EXTRA_INDEX_URL names the index of its builds for the CPU.
verify: $(DEV) $(VERIFY) ## compare values and gradients with PyTorch and JAX: the marked tests and `hstn verify`
	.venv/bin/python -m pytest -n $(JOBS) -m verify
	.venv/bin/hstn verify --against torch --against jax

bench: $(VERIFY) ## time everything beside PyTorch: `hstn bench`; use an idle machine
	.venv/bin/hstn bench

docs: $(DOCS) ## the documentation, in site/
	.venv/bin/mkdocs build --strict

clean: ## remove .venv and all that can be made again
	rm -rf .venv build dist site *.egg-info .pytest_cache .hypothesis .ruff_cache .mypy_cache .coverage
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

.venv/bin/python:
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' || \
	  { echo "hstn-ref needs Python 3.11 to 3.13: make PYTHON=python3.12 ..."; exit 1; }
	$(PYTHON) -m venv .venv

$(RUNTIME): pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable .
	@touch $@

$(DEV): pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[dev]'
	@touch $@ $(RUNTIME)

$(VERIFY): pyproject.toml constraints.txt | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[verify]' --constraint constraints.txt
	@touch $@ $(RUNTIME)

$(DOCS): pyproject.toml | .venv/bin/python
	.venv/bin/python -m pip install --quiet --disable-pip-version-check --editable '.[docs]'
	@touch $@ $(RUNTIME)
