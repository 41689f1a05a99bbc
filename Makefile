# The commands that a person types; CI types the same ones.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
PIP := $(BIN)/python -m pip --disable-pip-version-check

WHEELS := -e ./proto -e ./artifact -e './server[jit]' -e './client[images]' -e './training[cpu]'
DECLARED := constraints.txt $(wildcard */pyproject.toml)
# Past one machine; who serves on one does not need it.
CLUSTER := -e ./cluster
PACKAGES := proto artifact server client training cluster
CODE := $(PACKAGES) tests examples bench deploy

.DEFAULT_GOAL := help
.PHONY: help setup run test lint types proto dashboard train demo bench format lock audit clean

help:  ## Show this list
	@grep -hE '^[a-z]+:.*##' $(MAKEFILE_LIST) | sed -E 's/:.*## /\t/' | expand -t 10

setup: $(VENV)/.compiled  ## Create .venv with every package and command; compile the network

run: setup  ## Serve exported_model/ on the default ports until Ctrl-C
	@exec $(BIN)/flatdense-server

train: setup  ## Train on MNIST and export the next version (FLATDENSE_DATA_DIR names the data)
	@exec $(BIN)/flatdense-train

demo: setup  ## The whole story once, offline: train, export, serve, classify, scrape, drain
	@exec $(BIN)/python examples/demo.py

test: setup $(VENV)/.developing  ## Run the whole test suite
	$(BIN)/pytest -n auto --dist loadgroup

lint: $(VENV)/.developing  ## Check style, spelling, docstrings and the floors
	$(BIN)/ruff format --check $(CODE)
	$(BIN)/ruff check $(CODE)
	$(BIN)/codespell README.md CHANGELOG.md CONTRIBUTING.md SECURITY.md docs $(CODE)
	$(BIN)/interrogate --quiet --config pyproject.toml $(CODE)
	$(BIN)/lint-imports

types: $(VENV)/.developing  ## Check the types
	$(BIN)/mypy
	$(BIN)/mypy deploy/grafana/*.py

format: $(VENV)/.developing  ## Write the code in the house style
	$(BIN)/ruff check --fix $(CODE)
	$(BIN)/ruff format $(CODE)

proto: $(VENV)/.developing  ## Generate the Python code of proto/
	$(BIN)/python proto/generate.py

dashboard: $(VENV)/.developing  ## Write the Grafana dashboard of deploy/grafana/
	$(BIN)/python deploy/grafana/dashboard.py

bench: setup  ## Measure, and write bench/results/
	$(BIN)/python bench/engines.py
	$(BIN)/python bench/swaps.py
	$(BIN)/python bench/run.py
	$(BIN)/python bench/tail.py

lock: $(VENV)/.developing  ## Write the versions in .venv to constraints.txt
	$(BIN)/python -m pip freeze --all --exclude-editable | grep -v '^flatdense' | \
	    sed 's/^tensorflow_cpu\(==.*\)/&\ntensorflow\1/' > constraints.txt

# It comes into a folder of its own: the service that runs does not have what it needs.
audit: $(VENV)/.serving  ## Ask PyPI which versions in constraints.txt have known vulnerabilities
	$(PIP) install --quiet --target $(VENV)/audit --upgrade pip-audit
	PYTHONPATH=$(VENV)/audit $(BIN)/python -m pip_audit --strict --no-deps --disable-pip --requirement constraints.txt

clean:  ## Remove .venv and caches
	rm -rf $(VENV) .mypy_cache .pytest_cache .ruff_cache .hypothesis .import_linter_cache

# Debian's python3 may lack the part of venv that installs pip: then the machine's pip does it.
$(VENV)/bin/python:
	@$(PYTHON) -c 'import sys; v = sys.version_info[:2]; (3, 11) <= v <= (3, 13) or sys.exit("flatdense needs Python 3.11, 3.12 or 3.13 (TensorFlow has no other); this is %d.%d. Name one: make PYTHON=python3.11" % v)'
	$(PYTHON) -m venv $(VENV) || { $(PYTHON) -m venv --clear --without-pip $(VENV) && \
	    $(PYTHON) -m pip --python $(VENV)/bin/python install --quiet pip; }

$(VENV)/.serving: $(VENV)/bin/python $(DECLARED)
	@echo 'Installing flatdense into $(VENV) (TensorFlow is a download of 270 MB) ...'
	$(PIP) install --quiet --constraint constraints.txt pip hatchling editables
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation $(WHEELS)
	@touch $@

# Without a compiler there is no stamp: the next call looks again.
$(VENV)/.compiled: $(VENV)/.serving
	@if $(BIN)/flatdense-compile; then touch $@; \
	    else echo 'The server will use the jit engine, which is slower to start and to answer.'; fi

$(VENV)/.developing: $(VENV)/.serving pyproject.toml
	@echo 'Installing the development tools into $(VENV) ...'
	$(PIP) install --quiet --constraint constraints.txt --group dev
	$(PIP) install --quiet --constraint constraints.txt --no-build-isolation $(CLUSTER)
	@touch $@
