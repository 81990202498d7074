# The two commands: make lab, make test. Both install what they need into .venv and are quick the second time.

PYTHON ?= python3
BIN := .venv/bin
ARGS ?=
LABS ?=
WORKERS ?= 2
BROWSERS ?= 2

# One thread by default where tests run: two cores shared by threads are slower than one, and numbers stay equal.
TEST_ENV := CUDA_VISIBLE_DEVICES= OMP_NUM_THREADS=1 MKL_NUM_THREADS=1 HF_HUB_OFFLINE=1 PYTHONUTF8=1

.PHONY: help lab present test lint unit notebooks noticed browser mutate by-hand bench gallery clean
.PHONY: install-lab install-dev
.NOTPARALLEL:

help:
	@echo "make lab      open JupyterLab on the tour (make lab ARGS=--no-browser on a server)"
	@echo "make test     everything that continuous integration runs"
	@echo "make lint unit notebooks noticed browser   its parts"
	@echo "make mutate by-hand   labs under random weights (LABS=02); labs solved, and trainings at their full length"
	@echo "make bench    ratios against other libraries (docs/benchmarks.md)"

lab: install-lab
	@$(BIN)/python -m lmlab lab --in-place labs $(ARGS)

present: install-lab
	@$(BIN)/python -m lmlab present $(ARGS)

test: lint unit notebooks noticed browser
	@echo "all of make test passed"

lint: install-dev
	$(BIN)/python -m ruff check .
	$(BIN)/python -m mypy
	$(BIN)/lint-imports --no-cache

unit: install-dev
	$(TEST_ENV) $(BIN)/python -m pytest -m "not browser and not by_hand" -n $(WORKERS) --dist loadfile \
	  --no-loadscope-reorder

notebooks: install-dev
	$(TEST_ENV) $(BIN)/python -m tools.nbval_labs $(LABS)

# The shipped model is in all labs; two of them are asked each time, until one cell notices that it knows nothing.
noticed: install-dev
	$(TEST_ENV) $(BIN)/python -m tools.mutate --first 00 02

mutate: install-dev
	$(TEST_ENV) $(BIN)/python -m tools.mutate $(LABS)

by-hand: install-dev
	$(TEST_ENV) $(BIN)/python -m pytest -m by_hand -n $(WORKERS)

# What failed is tried once more, alone: two browsers on two busy cores miss a beat now and then.
BROWSER_TESTS := LMLAB_NO_PICTURES=1 $(TEST_ENV) $(BIN)/python -m pytest tests/browser -m "not by_hand"
browser: install-dev
	$(BIN)/python -m tests.browser.find_chromium
	$(BROWSER_TESTS) -n $(BROWSERS) --dist loadscope --no-loadscope-reorder || \
	  $(BROWSER_TESTS) --last-failed --last-failed-no-failures none

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
