# Spark-Ops. `make` lists what there is; every target sets up what it needs.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
NPM := npm --prefix web
STAMPS := .make
PAGES := src/sparkops/api/pages
WEB_SOURCES := $(shell find web -path web/node_modules -prune -o -path web/dist -prune -o -type f -print 2>/dev/null)

.DEFAULT_GOAL := help
.PHONY: help demo test proof chaos fuzz up check sbom bench fmt api-types permissions locks clean

help: ## List the commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

demo: $(STAMPS)/python $(STAMPS)/pages ## Run the main job end to end on a stack of its own, and say what happened
	@$(BIN)/sparkops demo

test: $(STAMPS)/python $(STAMPS)/peers $(STAMPS)/pages ## Run all tests
	$(BIN)/pytest -n 3 --dist loadgroup
	$(NPM) test

proof: $(STAMPS)/python ## Play all interleavings, failpoints and long properties, and take every guard out in turn: some hours (OUT=)
	SPARK_TESTS=whole $(BIN)/python -m pytest -p tests.proof $(if $(OUT),--out $(OUT)) -n 2 --dist loadgroup \
		tests/crash tests/engine/test_machine.py tests/engine/test_label_flow.py tests/engine/test_audit.py \
		tests/engine/test_budgets.py tests/unit/test_decide_random.py
	$(BIN)/python -m tests.mutation $(if $(OUT),--out $(OUT))

N ?= 50
RUNS ?= 200
SEED ?= 1

chaos: $(STAMPS)/python ## Let N=50 faults happen to a real platform under load, and check what was promised (RUNS=, SEED=, ONLY=, OUT=)
	$(BIN)/python -m tests.chaos --kills $(N) --runs $(RUNS) --seed $(SEED) $(if $(ONLY),--only $(ONLY)) $(if $(OUT),--out $(OUT))

CASES ?= 100000

fuzz: $(STAMPS)/python ## Send CASES=100000 requests that the API's document allows or does not, and check the answers (SEED=, OUT=)
	$(BIN)/python -m tests.api.campaign --cases $(CASES) --seed $(SEED) --out $(or $(OUT),.make/fuzz.jsonl)

up: $(STAMPS)/python $(STAMPS)/pages ## Start the platform with its pages on port 8000
	@$(BIN)/sparkops up --example

check: $(STAMPS)/python $(STAMPS)/node ## Check format, lint, floors and types, in under a minute
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/lint-imports
	$(BIN)/mypy
	$(BIN)/python -m tools.lint
	$(NPM) run check

sbom: $(STAMPS)/python ## Write sbom.cdx.json, the CycloneDX bill of all packages, from the lock files
	@$(BIN)/python -m tools.sbom --out sbom.cdx.json

bench: $(STAMPS)/python ## Measure the workloads and this machine's limits, one JSON object a line
	@$(BIN)/python -m benchmarks

fmt: $(STAMPS)/python $(STAMPS)/node ## Format everything
	$(BIN)/ruff check --fix-only .
	$(BIN)/ruff format .
	$(NPM) run format

api-types: $(STAMPS)/python $(STAMPS)/node ## Write web/openapi.json and the types the pages use from it
	$(BIN)/python -m sparkops.api.openapi > web/openapi.json
	$(NPM) run api-types

permissions: $(STAMPS)/python ## Write docs/permissions.md from the table that the API enforces
	$(BIN)/python -m sparkops.api.permission_table docs/permissions.md

COOL ?= 7 days

locks: $(STAMPS)/tools ## Compile the lock files from pyproject.toml, from releases that are COOL=7 days old
	$(LOCK) pyproject.toml -o requirements.lock
	$(LOCK) pyproject.toml --group dev -c requirements.lock -o requirements-dev.lock
	$(LOCK) --group tools -o requirements-tools.lock
	$(LOCK) tests/peers/requirements.in -o tests/peers/requirements.lock

clean: ## Remove what the commands above have built
	rm -rf $(VENV) .venv-peers $(STAMPS) web/node_modules web/dist $(PAGES)

LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-header --no-annotate --exclude-newer "$(COOL)"

$(STAMPS)/tools: requirements-tools.lock
	@$(PYTHON) -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))' \
		|| { echo "Spark-Ops needs Python 3.11 to 3.13; name one with make PYTHON=python3.12."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements-tools.lock
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/python: $(STAMPS)/tools requirements-dev.lock pyproject.toml
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --compile-bytecode --require-hashes -r requirements-dev.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation --editable . && $(BIN)/python -m compileall -q src
	@touch $@

$(STAMPS)/peers: $(STAMPS)/tools tests/peers/requirements.lock tests/peers/oidc/package-lock.json
	@test -x .venv-peers/bin/python || $(PYTHON) -m venv .venv-peers
	@VIRTUAL_ENV=.venv-peers $(BIN)/uv pip install --quiet --require-hashes -r tests/peers/requirements.lock
	@npm --prefix tests/peers/oidc ci --no-audit --no-fund --loglevel=error
	@touch $@

$(STAMPS)/node: web/package-lock.json
	@node -e 'process.exit(parseInt(process.versions.node) < 20 ? 1 : 0)' 2>/dev/null \
		|| { echo "Spark-Ops needs Node.js 20 or later to build its pages."; exit 1; }
	@$(NPM) ci --ignore-scripts --no-audit --no-fund --loglevel=error
	@mkdir -p $(STAMPS) && touch $@

$(STAMPS)/pages: $(STAMPS)/node $(WEB_SOURCES)
	@$(NPM) run --silent build
	@rm -rf $(PAGES) && cp -r web/dist $(PAGES)
	@touch $@
