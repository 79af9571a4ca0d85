# Every target makes what it needs: `make demo` on a fresh clone needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

.PHONY: help demo lab test slow lint types bench lowest wheel-check environment lock clean

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /|/' | column -t -s '|'

# The locks hold hashes, so pip refuses any file that is not the one that was tested.
$(VENV)/.user: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
	  { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12 …"; exit 1; }
	@echo "Installing into $(VENV): a minute or two, once."
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: $(VENV)/.user requirements-dev.lock
	@echo "Installing what tests and checks need into $(VENV)."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@

demo: $(VENV)/.user ## load, check, run the notebooks and write report/, on the sandbox platform
	$(BIN)/so2 demo

lab: $(VENV)/.user ## open the notebooks in JupyterLab
	$(BIN)/so2 lab

test: $(VENV)/.dev ## the tests, and the notebooks as tests
	$(BIN)/python -m pytest -n auto -m "not slow"
	$(BIN)/python -m pytest -n auto --nbmake --nbmake-timeout=300 notebooks

slow: $(VENV)/.dev ## the slow tests: intervals over many seeds, writers killed at random
	$(BIN)/python -m pytest -n auto -m slow

lint: $(VENV)/.dev ## ruff; generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/environment.py --check

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

bench: $(VENV)/.bench ## speed and memory beside peers, as one table
	$(BIN)/python -m benchmarks

lowest: $(VENV)/.dev ## the tests on the oldest versions that pyproject.toml allows
	$(BIN)/uv venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python --require-hashes -r requirements-lowest.lock
	$(BIN)/uv pip install --quiet --python $(VENV)-lowest/bin/python --no-deps --no-build-isolation -e .
	$(VENV)-lowest/bin/python -m pytest -n auto -m "not slow and not browser" tests

wheel-check: $(VENV)/.dev ## build the wheel, install it alone elsewhere, run the demo there
	$(BIN)/python scripts/wheel_check.py

environment: $(VENV)/.dev ## write environment.yml from pyproject.toml
	$(BIN)/python scripts/environment.py

# The build backend is locked too: the editable install then fetches nothing.
COMPILE = echo 'hatchling>=1.27' | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --custom-compile-command "make lock" pyproject.toml -
UV ?= $(BIN)/uv
lock: ## write the lock files
	$(COMPILE) --extra all -o requirements.lock
	$(COMPILE) --extra all --extra test --extra docs --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --extra bench -c requirements-dev.lock -o requirements-bench.lock
	$(COMPILE) --extra engines -c requirements-dev.lock -o requirements-engines.lock
	$(COMPILE) --extra all --extra test --resolution lowest-direct -o requirements-lowest.lock

clean: ## remove what make and the tests wrote
	rm -rf $(VENV) $(VENV)-lowest report artifacts build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
