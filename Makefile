# The commands of this repository. Needs make and Python 3.11 or newer; everything else goes into .venv.
# `make` alone lists them.

PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
ARGS ?=
# Calls in real time mostly wait; with many more, audio comes late and people misunderstand each other.
WORKERS ?= 4

PIP_INSTALL := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-input
UV_COMPILE := $(BIN)/uv pip compile pyproject.toml --quiet --universal --python-version 3.11 \
	--generate-hashes --no-emit-index-url --no-header

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help demo test check lint types contracts house format crash bench docs new-integration lock clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

demo: $(VENV)/.base ## Place calls in a simulated world: no account, no key, no internet
	@$(BIN)/callwright demo $(ARGS)

test: $(VENV)/.dev ## Run every test; ARGS="-k name" to choose, WORKERS=0 for one process
	@$(BIN)/python -m pytest -q -n $(WORKERS) --dist loadgroup --no-loadscope-reorder $(ARGS)

check: lint types contracts house ## Everything that reads the code: lint, types, import contracts, house rules

lint: $(VENV)/.dev ## Lint, and check the formatting
	@$(BIN)/ruff check
	@$(BIN)/ruff format --check

types: $(VENV)/.dev ## Check the types
	@$(BIN)/mypy

contracts: $(VENV)/.dev ## Check which part may import which
	@$(BIN)/lint-imports --no-logo

house: $(VENV)/.dev ## Check the house rules
	@$(BIN)/python -m pytest -q tests/house

format: $(VENV)/.dev ## Format, and mend what the linter can mend
	@$(BIN)/ruff format
	@$(BIN)/ruff check --fix

crash: $(VENV)/.dev ## Kill a real process at every durable step and at random moments
	@$(BIN)/python -m tests.crash $(ARGS)

bench: $(VENV)/.dev ## Measure the relay
	@$(BIN)/python -m bench $(ARGS)

docs: $(VENV)/.dev ## Write the generated pages of docs/
	@$(BIN)/python -m tools.generate_docs

new-integration: $(VENV)/.dev ## Start a vendor's folder: NAME=acme ROLE=carrier
	@$(BIN)/python -m tools.new_integration "$(NAME)" "$(ROLE)"

lock: $(VENV)/.dev ## Resolve the dependencies anew into requirements/
	@$(UV_COMPILE) --upgrade --extra build --output-file requirements/base.txt
	@$(UV_COMPILE) --upgrade --extra dev --constraint requirements/base.txt --output-file requirements/dev.txt

clean: ## Remove what was installed, built or cached here
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache
	find callwright tests bench tools -name __pycache__ -type d -prune -exec rm -rf {} +

$(BIN)/python:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || { \
		echo "Callwright needs Python 3.11 or newer, and $(PYTHON) is: $$($(PYTHON) --version 2>&1)." >&2; \
		echo "Name another one: make PYTHON=/path/to/python3.12 ..." >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV) || { rm -rf $(VENV); \
		echo "$(PYTHON) cannot create a virtual environment. On Debian and Ubuntu: apt-get install python3-venv" >&2; \
		exit 1; }

# A stamp is newer than the lock it was installed from; .dev holds all that .base holds.
$(VENV)/.base: requirements/base.txt pyproject.toml | $(BIN)/python
	@echo "Installing the dependencies into $(VENV) (once) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/base.txt
	@$(PIP_INSTALL) --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.dev: requirements/dev.txt $(VENV)/.base
	@echo "Installing the development tools into $(VENV) (once) ..."
	@$(PIP_INSTALL) --require-hashes -r requirements/dev.txt
	@touch $@
