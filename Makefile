# Every target makes what it needs: `make demo` on a fresh clone needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
ENV_OK := $(VENV)/.installed

.PHONY: demo test slow lab lint types bench lock environment wheel-check lowest clean help

help: ## show this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 14

# The lock holds hashes, so pip refuses any file that is not the one that was tested.
$(ENV_OK): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "Python 3.11 or newer is needed; name one: make PYTHON=python3.12"; exit 1; }
	@echo "Installing into $(VENV) (a minute or two, once)"
	$(PYTHON) -m venv $(VENV)
	$(PIP) install --require-hashes -r requirements.lock
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

demo: $(ENV_OK) ## the main job on the embedded sandbox platform: load, check, notebooks, HTML report
	$(BIN)/so2 demo

test: $(ENV_OK) ## all tests but the slow ones
	$(BIN)/python -m pytest -n auto -m "not slow"
	$(BIN)/python -m pytest --nbmake --nbmake-timeout=300 -n auto notebooks

slow: $(ENV_OK) ## the slow tests: many seeds, coverage of intervals
	$(BIN)/python -m pytest -n auto -m slow

lab: $(ENV_OK) ## open the notebooks in JupyterLab
	$(BIN)/so2 lab

lint: $(ENV_OK) ## ruff, and the generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/environment.py --check

types: $(ENV_OK) ## mypy --strict
	$(BIN)/mypy

environment: $(ENV_OK) ## write environment.yml from pyproject.toml
	$(BIN)/python scripts/environment.py

lock: ## write the lock files (needs uv)
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --extra notebooks --extra test --extra dev pyproject.toml -o requirements.lock
	uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url --custom-compile-command "make lock" --extra bench -c requirements.lock pyproject.toml -o requirements-bench.lock

clean: ## remove what make and the tests wrote
	rm -rf $(VENV) report build dist .mypy_cache .pytest_cache .ruff_cache .hypothesis
