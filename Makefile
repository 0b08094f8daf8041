# Two commands do everything: `make demo` and `make test`. Each sets up what it needs, once.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.ready
DEBIAN_PACKAGES := e2fsprogs gcc iproute2 libc6-dev libmodbus-dev mbpoll mosquitto \
  mosquitto-clients socat systemd tmux victoria-metrics

.PHONY: help demo test lint check bench soak days clean lock

help: ## This list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/^([a-z]+):.*## /  make \1\t/'

demo: $(STAMP) ## A simulated plant, the gateway, the cloud and the console
	$(BIN)/edgewright demo

test: $(STAMP) .cache/debian-ready .cache/interop/ready ## Everything there is to test
	$(BIN)/python -m pytest -n 2 --dist worksteal

lint: $(STAMP) ## Format, lint, types and import rules
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports --no-cache

check: lint ## All that, and the quick tests
	$(BIN)/python -m pytest -q -m "not slow and not realdata" -n 2 --dist worksteal

bench: $(STAMP) ## What it costs, as ratios against the plain way, in one run
	$(BIN)/edgewright bench

soak: $(STAMP) .cache/debian-ready ## Twenty minutes of kills, outages and faults, then the books
	$(BIN)/python -m tests.gateway.store_lives --lives 1000
	$(BIN)/python -m tests.outage
	$(BIN)/python -m tests.soak --minutes 12

days: $(STAMP) ## Twenty simulated days: false alarms and missed faults
	$(BIN)/python -m tests.virtual_days

clean: ## Remove everything that the other commands made
	rm -rf $(VENV) .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis demo-state

lock: ## Renew requirements.lock (needs uv)
	uv pip compile -q --universal --python-version 3.11 --generate-hashes \
	  --no-emit-index-url --no-annotate --no-header --all-extras pyproject.toml -o requirements.lock

$(STAMP): pyproject.toml requirements.lock
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Edgewright needs Python 3.11 or newer; try make PYTHON=python3.12"; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || sh tests/install_debian.sh python3-venv
	@echo "Setting up $(VENV), once; this takes a minute or two"
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --progress-bar on --disable-pip-version-check \
	  --require-hashes --requirement requirements.lock
	$(BIN)/python -m pip install --quiet --disable-pip-version-check \
	  --no-deps --no-build-isolation --editable .
	@touch $@

.cache/debian-ready: Makefile
	@sh tests/install_debian.sh $(DEBIAN_PACKAGES)
	@mkdir -p .cache && touch $@

# node-opcua and others, written by nobody here; Debian's Node.js is old enough and new enough.
.cache/interop/ready: tests/interop/package.json tests/interop/package-lock.json
	@command -v npm >/dev/null || sh tests/install_debian.sh nodejs npm
	@mkdir -p .cache/interop && cp $^ .cache/interop
	npm ci --prefix .cache/interop --ignore-scripts --no-audit --no-fund --loglevel=error
	@touch $@
