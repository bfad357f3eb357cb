# Everything here runs in the project's own environment, .venv, which is made on first use: by uv
# where there is one, else by a plain venv and pip. Python 3.11+, pip, make and git are enough.

PYTHON ?=
UV ?= $(shell uv --version >/dev/null 2>&1 && echo uv)
WORKERS ?= auto
LISTEN ?=
DATA ?=
ARGS ?=

BIN := .venv/bin
READY := .venv/.ready
BENCH_READY := .venv/.bench-ready
BASE_PYTHON = $(or $(PYTHON),python3)

# Another environment that happens to be active must not be taken for this one.
unexport VIRTUAL_ENV PYTHONHOME PYTHONPATH
# The tests start hundreds of processes. Without bytecode each would compile all that it imports.
unexport PYTHONDONTWRITEBYTECODE

.DEFAULT_GOAL := help
.PHONY: help serve test postgresql slow compat bench lint format types docs imports check clean

help: ## Show this help
	@echo 'usage: make TARGET [NAME=value ...]'; echo; echo 'targets:'
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  %-10s %s\n", $$1, $$2 }' $(firstword $(MAKEFILE_LIST))
	@echo; echo 'variables:'
	@printf '  %-10s %s\n' \
	  LISTEN 'where "make serve" listens, such as LISTEN=127.0.0.1:5001' \
	  DATA 'data directory of "make serve", such as DATA=/srv/longshore' \
	  ARGS 'more arguments for "longshore serve", pytest or the benchmark: make test ARGS="-k tags"' \
	  WORKERS 'processes that run the tests (now: $(WORKERS))' \
	  PYTHON 'the Python to make the environment with: make PYTHON=python3.13 test' \
	  UV 'the uv to make it with (now: $(or $(UV),none)); UV= takes a plain venv and pip'

serve: $(READY) ## Start a registry on this machine
	@exec $(BIN)/longshore serve \
	  $(if $(LISTEN),--listen '$(LISTEN)') $(if $(DATA),--data '$(DATA)') $(ARGS)

test: $(READY) ## Run the tests: all but those of the next three targets
	$(BIN)/python -m pytest -n $(WORKERS) -m 'not compat and not slow and not postgresql' $(ARGS)

postgresql: $(READY) ## Run the same tests on PostgreSQL
	$(BIN)/python -m pytest -n $(WORKERS) -m 'postgresql and not compat and not slow' $(ARGS)

slow: $(READY) ## Run the tests that take minutes
	$(BIN)/python -m pytest -n $(WORKERS) --dist worksteal -m 'slow and not compat' $(ARGS)

# Clients, daemons and servers wait for each other for most of their time.
compat: WORKERS = 4
compat: $(READY) ## Run the tests with real clients (see docs/testing.md)
	$(BIN)/python -m pytest -n $(WORKERS) --dist loadfile -m compat \
	  $(if $(filter tests/%,$(ARGS)),,tests/compat tests) $(ARGS)

bench: $(BENCH_READY) ## Measure Longshore beside its peers (see docs/performance.md)
	@exec $(BIN)/python -m bench $(ARGS)

lint: $(READY) ## Check style and formatting
	$(BIN)/ruff check
	$(BIN)/ruff format --check

format: $(READY) ## Format the code and mend what can be mended
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

types: $(READY) ## Check types
	$(BIN)/mypy

docs: $(READY) ## Write the tables of the documentation from the code
	$(BIN)/python -m tests.docs.generate

imports: $(READY) ## Check that each room imports only from the floors below it
	$(BIN)/lint-imports

check: lint types imports test ## Run lint, types, imports and test

clean: ## Remove the environment and every cache
	rm -rf .venv .cache .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +

$(READY): pyproject.toml uv.lock
ifneq ($(UV),)
	$(UV) sync --frozen $(if $(PYTHON),--python '$(PYTHON)')
else
	@$(BASE_PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo 'Longshore needs Python 3.11 or newer, and $(BASE_PYTHON) is none.' \
	    'Name another: make PYTHON=python3.13' >&2; exit 1; }
	@$(BASE_PYTHON) -c 'import ensurepip, venv' || { \
	  echo '$(BASE_PYTHON) cannot make environments: its module ensurepip or venv is missing.' \
	    'On Debian and Ubuntu: apt-get install python3-venv' >&2; exit 1; }
	$(BASE_PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --upgrade 'pip>=25.1'
	$(BIN)/python -m pip install --quiet --editable . --group dev
endif
	@touch $@

$(BENCH_READY): $(READY)
ifneq ($(UV),)
	$(UV) sync --frozen --group bench $(if $(PYTHON),--python '$(PYTHON)')
else
	$(BIN)/python -m pip install --quiet --group bench
endif
	@touch $@
