# Every target makes what it needs: `make demo` on a fresh clone needs Python >= 3.11 and nothing else.
PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
UV     ?= $(BIN)/uv
# One more than there are processors, as some tests wait for what happens late or never.
WORKERS := $(shell $(PYTHON) -c 'import os; print((os.cpu_count() or 1) + 1)')
PYTEST := -m pytest -n $(WORKERS) --durations=15
# Containers often set this; each of hundreds of processes would then compile all it imports.
unexport PYTHONDONTWRITEBYTECODE
# Without plugins that take seconds to import, in each process.
TESTS  := $(PYTEST) -p no:nbmake -p no:schemathesis

.PHONY: help install demo lab test slow nights fuzz engines lint types supply-chain docs bench bench-scale lowest wheel-check environment lock clean

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
	@echo "Installing what tests, checks and documentation need into $(VENV)."
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

$(VENV)/.engines: $(VENV)/.dev requirements-engines.lock
	@echo "Installing the engines into $(VENV)-engines."
	@$(UV) venv --quiet --clear --python $(BIN)/python $(VENV)-engines
	@$(UV) pip install --quiet --python $(VENV)-engines/bin/python --require-hashes -r requirements-engines.lock
	@$(UV) pip install --quiet --python $(VENV)-engines/bin/python --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.bench: $(VENV)/.dev requirements-bench.lock
	@$(PIP) install --require-hashes -r requirements-bench.lock
	@touch $@

install: $(VENV)/.dev ## all that tests and checks need, without running any

demo: $(VENV)/.user ## load, check, run the notebooks and write report/, on the sandbox platform
	$(BIN)/so2 demo

lab: $(VENV)/.user ## open the notebooks in JupyterLab
	$(BIN)/so2 lab

EXAMPLES ?= 3
test: $(VENV)/.dev ## the tests, some examples of each (EXAMPLES= for all), and the notebooks as tests: three minutes
	SO2_EXAMPLES=$(EXAMPLES) $(BIN)/python $(TESTS) -m "not slow and not engines"
	$(BIN)/python $(PYTEST) --nbmake --nbmake-timeout=300 notebooks

slow: $(VENV)/.dev ## the slow tests: many seeds, whole reports, writers killed at random
	$(BIN)/python $(TESTS) -m slow --dist loadscope --no-loadscope-reorder # what a module builds, such as a report, is built once

nights: $(VENV)/.dev ## thirty nightly reports against the attacker, some minutes
	SO2_NIGHTS=30 $(BIN)/python $(PYTEST) tests/reports/test_printed.py -k nightly

SECONDS ?= 3600
fuzz: $(VENV)/.dev ## the reader against plain Python, on new bodies for SECONDS (3600)
	$(BIN)/python tests/loading/test_fuzz.py --seconds $(SECONDS)

engines: $(VENV)/.engines ## the matrix of engines: Ibis, PostgreSQL and, where there is Java, Spark too
	$(VENV)-engines/bin/python $(TESTS) -m engines --dist loadgroup tests/analyses/test_engines.py

lint: $(VENV)/.dev ## ruff; generated files are up to date
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/python scripts/environment.py --check
	$(BIN)/python scripts/licences.py --check

types: $(VENV)/.dev ## mypy --strict
	$(BIN)/mypy

supply-chain: $(VENV)/.dev ## workflows and CITATION.cff checked; artifacts/sbom.json written
	$(BIN)/check-jsonschema --builtin-schema vendor.github-workflows .github/workflows/*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-forms .github/ISSUE_TEMPLATE/[!c]*.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.github-issue-config .github/ISSUE_TEMPLATE/config.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.dependabot .github/dependabot.yml
	$(BIN)/check-jsonschema --builtin-schema vendor.citation-file-format CITATION.cff
	$(BIN)/zizmor --offline --quiet --pedantic .github/workflows
	mkdir -p artifacts
	$(BIN)/cyclonedx-py requirements --pyproject pyproject.toml --output-reproducible -o artifacts/sbom.json requirements.lock

docs: $(VENV)/.dev ## the documentation site, in build/site; opens from disk
	$(BIN)/sphinx-build --builder html --fail-on-warning --keep-going --fresh-env --quiet docs build/site
	$(BIN)/python scripts/site_check.py build/site

bench: $(VENV)/.bench ## speed and memory beside peers, as one table
	$(BIN)/python -m benchmarks

bench-scale: $(VENV)/.engines ## time and memory from 10⁵ to 10⁷ rows, beside Polars, DuckDB and, where there is Java, Spark by hand
	$(VENV)-engines/bin/python -m benchmarks.scale

# Counting the lines that run takes as long as the tests, so the shortest run of them counts.
lowest: $(VENV)/.dev ## the tests, some examples of each, on the oldest versions that pyproject.toml allows: at least 95 % of the branches
	rm -f .coverage .coverage.*
	$(UV) venv --quiet --clear --python $(BIN)/python $(VENV)-lowest
	$(UV) pip install --quiet --python $(VENV)-lowest/bin/python --require-hashes -r requirements-lowest.lock
	$(UV) pip install --quiet --python $(VENV)-lowest/bin/python --no-deps --no-build-isolation -e .
	SO2_EXAMPLES=4 $(VENV)-lowest/bin/python $(TESTS) -m "not slow and not engines and not browser" tests --cov

wheel-check: $(VENV)/.dev ## build the wheel, install it alone elsewhere, run the demo there
	$(BIN)/python scripts/wheel_check.py

environment: $(VENV)/.dev ## write environment.yml, conda/recipe.yaml and docs/licences.md
	$(BIN)/python scripts/environment.py
	$(BIN)/python scripts/licences.py

# The build backend is locked too: the editable install then fetches nothing.
COMPILE = echo 'hatchling>=1.27' | $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-strip-extras --custom-compile-command "make lock" pyproject.toml -
lock: ## write the lock files
	$(COMPILE) --extra all -o requirements.lock
	$(COMPILE) --extra all --extra test --extra docs --extra dev -c requirements.lock -o requirements-dev.lock
	$(COMPILE) --extra bench -c requirements-dev.lock -o requirements-bench.lock
	$(COMPILE) --extra all --extra test --extra engines --extra spark -c requirements-dev.lock -o requirements-engines.lock
	$(COMPILE) --extra all --extra test --resolution lowest-direct -o requirements-lowest.lock

clean: ## remove what make and the tests wrote
	rm -rf $(VENV) $(VENV)-lowest $(VENV)-engines report artifacts build dist .coverage .coverage.* .mypy_cache .pytest_cache .ruff_cache .hypothesis
