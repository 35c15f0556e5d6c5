# `make` alone lists the targets. Everything that is installed comes from the lock files, with hashes, into .venv.

PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet

# Tests: how many run at once, the seed of their order (shown in the header), further options, and the whole run's limit.
WORKERS ?= 2
TESTS   ?= tests
ARGS    ?=
LIMIT   ?= 15m

# Proof: minutes it may take, one part only, the seed of a run to repeat.
MINUTES ?= 60
ONLY    ?=
SEED    ?=

PYTEST  := $(BIN)/python -m pytest $(if $(SEED),--randomly-seed=$(SEED))

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help venv demo demo-real test sabotage test-unit proof lint audit format bench bench-store bench-pipeline schemas docs lock wheel clean

help: ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

venv: $(VENV)/.dev ## make .venv with everything needed to run, test and check

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
	  echo "dmp-gateway needs Python 3.11 or later; $(PYTHON) is $$($(PYTHON) -V 2>&1 || echo missing)." >&2; \
	  echo "Name another one: make PYTHON=python3.12 venv" >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
	  echo "$(PYTHON) cannot make virtual environments: install the venv module, e.g. apt-get install python3-venv" >&2; exit 1; }
	@echo "making $(VENV) with $$($(PYTHON) -V)" >&2
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); exit 1; }

$(VENV)/.runtime: requirements.lock pyproject.toml | $(BIN)/python
	@echo "installing what the gateway needs to run" >&2
	@$(PIP) install --require-hashes -r requirements.lock
	@$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements-dev.lock $(VENV)/.runtime
	@echo "installing what tests and checks need" >&2
	@$(PIP) install --require-hashes -r requirements-dev.lock
	@touch $@

# The TLS scanner wants an older `cryptography` than ours: it has an environment of its own. Where it cannot be made (no wheel for
# the machine), the tests that scan say that they did not run.
SCAN    := .venv-scan
SCANPIP  = $(SCAN)/bin/python -m pip --disable-pip-version-check --quiet install --require-hashes

$(SCAN)/.done: requirements-scan.lock
	@echo "making $(SCAN): the TLS scanner of the tests" >&2
	@rm -rf $(SCAN)
	@$(PYTHON) -m venv $(SCAN)
	@sed -n '/^setuptools==/,/# via/p' requirements-scan.lock >$(SCAN)/build.txt
	@$(SCANPIP) -r $(SCAN)/build.txt
	@$(SCANPIP) --no-build-isolation -r requirements-scan.lock
	@touch $@

demo: $(VENV)/.runtime ## the gateway in a minute, live, on free ports and in a fresh folder
	@$(BIN)/python -m gateway.demo

demo-real: $(VENV)/.runtime ## the same minute with doors and workers over RabbitMQ and PostgreSQL, both made for it
	@$(BIN)/python -m tests.harness.demo_real

# The tests start a PostgreSQL server of their own; TEST_DATABASE_URL names another one for the contract suites alone.
test: $(VENV)/.dev ## every test but the proof, in parallel
	@$(MAKE) --no-print-directory $(SCAN)/.done || echo "make test: without the TLS scanner" >&2
	@$(BIN)/python -m tests.harness.postgres
	@timeout --foreground --kill-after=30s $(LIMIT) $(PYTEST) -n $(WORKERS) $(TESTS) $(ARGS) || { \
	  code=$$?; test $$code -ne 124 || echo "make test: stopped after $(LIMIT)" >&2; exit $$code; }

sabotage: $(VENV)/.dev ## break the program, one guard at a time: a test must turn red: ONLY=n
	@$(BIN)/python -m tests.harness.postgres
	@$(BIN)/python -m tests.sabotage $(addprefix --only ,$(ONLY))

test-unit: $(VENV)/.dev ## the tests that open no door and need no corpus
	@$(PYTEST) -m "not proof and not faults and not door and not corpus" $(TESTS) $(ARGS)

proof: $(VENV)/.dev ## what is promised, under faults: MINUTES=60 ONLY=part SEED=n
	@$(BIN)/python -m tests.proof --minutes $(MINUTES) $(if $(ONLY),--only $(ONLY)) $(if $(SEED),--seed $(SEED))

# All six are run, whatever the first ones say.
lint: $(VENV)/.dev ## style, types, walls between rooms, declared dependencies, audit
	@failed=""; \
	for check in "ruff check ." "ruff format --check ." "mypy" "lint-imports" "deptry ." "python -m tests.audit"; do \
	  $(BIN)/$$check || failed="$$failed [$$check]"; \
	done; \
	test -z "$$failed" || { echo "make lint: failed:$$failed" >&2; exit 1; }

audit: $(VENV)/.dev ## security, without running it: bandit, secrets that were written down
	@$(BIN)/python -m tests.audit

format: $(VENV)/.dev ## let ruff put the code in order
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

bench: $(VENV)/.dev ## measure on this machine
	@$(BIN)/python benchmarks/run.py

bench-store: $(VENV)/.dev ## measure the record store at ten thousand and at a million documents (a quarter of an hour, 15 GB)
	@$(BIN)/python benchmarks/store.py $(ARGS)

bench-pipeline: $(VENV)/.dev ## measure MLLP to PostgreSQL over RabbitMQ beside its floor (some four minutes): ARGS=--quick
	@$(BIN)/python -m benchmarks.pipeline $(ARGS)

schemas: $(VENV)/.runtime ## write schemas/ again from the model
	@$(BIN)/python -m gateway.cli.schemas

docs: $(VENV)/.runtime ## write the reference pages of docs/ again from the program's tables
	@$(BIN)/python -m gateway.cli.reference docs
	@$(BIN)/python -m gateway.cli.alerts samples/prometheus/rules.yml
	@$(BIN)/python -m gateway.cli.dashboards samples/grafana

wheel: $(VENV)/.runtime ## build the wheel into dist/
	@$(PIP) wheel --no-deps --no-build-isolation --wheel-dir dist .

# --universal: one file for every platform and every Python from 3.11 on. `uv` need not be in .venv: UV=path names it.
UV ?= uv
LOCK = $(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header --group build pyproject.toml
lock: ## compute the lock files again (needs uv; UPGRADE=--upgrade for newer versions)
	@$(LOCK) $(UPGRADE) -o requirements.lock >/dev/null
	@$(LOCK) $(UPGRADE) --extra test --extra lint -c requirements.lock -o requirements-dev.lock >/dev/null
	@$(UV) pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-header $(UPGRADE) requirements-scan.in \
	  -o requirements-scan.lock >/dev/null
	@! grep -n '://' requirements.lock requirements-dev.lock requirements-scan.lock

clean: ## remove .venv, caches and what was built
	@rm -rf $(VENV) $(SCAN) .pytest_cache .mypy_cache .ruff_cache .import_linter_cache .hypothesis dist build
