# The two commands: make lab, make test. Both install what they need into .venv and are quick the second time.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
LABS ?=
WORKERS ?= 2
BROWSERS ?= 2

# One thread by default where tests run: two cores shared by threads are slower than one, and numbers stay equal.
TEST_ENV := CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONUTF8=1

.PHONY: help lab present test lint unit notebooks browser mutate bench gallery install-lab install-dev clean
.NOTPARALLEL:

help:
	@echo "make lab      open JupyterLab on the tour (make lab ARGS=--no-browser on a server)"
	@echo "make test     everything that continuous integration runs"
	@echo "make lint unit notebooks mutate browser   its parts"
	@echo "make bench    ratios against other libraries (docs/benchmarks.md)"

lab: install-lab
	@$(BIN)/python -m lmlab lab --in-place labs $(ARGS)

present: install-lab
	@$(BIN)/python -m lmlab present $(ARGS)

test: lint unit notebooks mutate browser
	@echo "all of make test passed"

lint: install-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache

unit: install-dev
	$(TEST_ENV) $(BIN)/python -m pytest -m "not browser" -n $(WORKERS) --dist loadfile

notebooks: install-dev
	$(TEST_ENV) $(BIN)/python -m tools.nbval_labs $(LABS)

mutate: install-dev
	$(TEST_ENV) $(BIN)/python -m tools.mutate $(LABS)

# What failed is tried once more, alone: two browsers on two busy cores miss a beat now and then.
browser: install-dev
	$(BIN)/python -m tests.browser.find_chromium
	$(TEST_ENV) $(BIN)/python -m pytest tests/browser -n $(BROWSERS) --dist loadgroup --no-loadscope-reorder || \
	  $(TEST_ENV) $(BIN)/python -m pytest tests/browser --last-failed --last-failed-no-failures none

bench:
	@$(PYTHON) tools/install.py --extras bench,dev
	$(BIN)/python -m tests.benchmarks $(ARGS)

gallery: install-dev
	$(TEST_ENV) $(BIN)/python -m tests.browser.gallery

install-lab:
	@$(PYTHON) tools/install.py

install-dev:
	@$(PYTHON) tools/install.py --extras dev

clean:
	rm -rf build dist .pytest_cache .mypy_cache .ruff_cache .import_linter_cache tests/browser/artifacts
