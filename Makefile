# `make quickstart` or `make test` on a machine that has Python >= 3.10 and make, and nothing else.
# Everything is installed into .venv of this folder; the versions are those of constraints.txt.

SHELL := /bin/sh
VENV := .venv
PY := $(VENV)/bin/python
PIP := $(PY) -u -m pip install --disable-pip-version-check --no-input -c constraints.txt
# So that `python3` in a trialCommand is the Python that NNI is installed in.
RUN := PATH="$(CURDIR)/$(VENV)/bin:$$PATH"
WORKERS ?= 2

# Installs $(1); of pip's output only the packages as they come, and its errors. The target says that it worked.
define install
	@echo "Installing $(1) into $(VENV) (the first time takes a minute)"
	@rm -f $@; { $(PIP) -e '$(1)' && touch $@; } | sed -n -E \
	-e 's/^ *(Downloading|Using cached) ([^-]+-[^-]+)-.*/  \2/p' -e 's/^Installing collected.*/Unpacking .../p'; \
	test -e $@ || { echo "The installation failed; the reason is above." >&2; exit 1; }
endef

.DEFAULT_GOAL := help
.PHONY: help quickstart install dev test test-fast lint format types imports check bench docs clean

help:  ## this list
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

quickstart: $(VENV)/.installed  ## tune a real model, live in the terminal (under two minutes)
	@$(RUN) $(PY) examples/quickstart/launch.py

install: $(VENV)/.installed  ## NNI itself into .venv
dev: $(VENV)/.installed-dev  ## NNI and the tools of its developers into .venv

test: $(VENV)/.installed-dev  ## the whole test suite
	@.ci/install-browser
	@.ci/install-servers
	@.ci/install-azurite
	@$(RUN) $(PY) -m pytest -n $(WORKERS)

test-fast: $(VENV)/.installed-dev  ## the tests that need no more than a moment each
	@$(RUN) $(PY) -m pytest -n $(WORKERS) -m 'not slow'

lint: $(VENV)/.installed-dev  ## ruff: rules and format
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .

format: $(VENV)/.installed-dev  ## let ruff repair what it can
	@$(PY) -m ruff check --fix .
	@$(PY) -m ruff format .

types: $(VENV)/.installed-dev  ## mypy --strict
	@$(PY) -m mypy

imports: $(VENV)/.installed-dev  ## which room may import from which (import-linter)
	@$(PY) .ci/check_imports.py

check: lint types imports test  ## all of the above

bench: $(VENV)/.installed-dev  ## the measurements
	@set -e; for script in $$(ls benchmarks/*.py | grep -v -e /_ -e _plugin.py); do \
	echo "== $$script"; $(RUN) $(PY) "$$script"; done

docs: $(VENV)/.installed-docs  ## the documentation as a web site, in site/
	@NO_MKDOCS_2_WARNING=1 $(PY) -m mkdocs build --strict --quiet
	@echo "Built: $(CURDIR)/site/index.html"

clean:  ## remove .venv and everything that was generated
	rm -rf $(VENV) site build dist .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
	find nni tests examples benchmarks docs .ci -name __pycache__ -type d -prune -exec rm -rf {} +

# --- the virtual environment; the files .installed* say what is in it and since when -----------------------------

$(PY):
	@python=$$(.ci/find-python) || exit 1; \
	echo "Creating $(VENV) with $$($$python --version) ($$python)"; \
	$$python -m venv --clear $(VENV) || { rm -rf $(VENV); exit 1; }
	@# The pip of the first 3.10 releases cannot install a pyproject.toml in place.
	@$(PY) -c 'import pip, sys; sys.exit(tuple(map(int, pip.__version__.split(".")[:2])) < (21, 3))' \
	|| $(PY) -m pip install --quiet --upgrade pip

$(VENV)/.installed: pyproject.toml constraints.txt $(PY)
	$(call install,.)

$(VENV)/.installed-dev: pyproject.toml constraints.txt $(PY)
	$(call install,.[dev])
	@touch $(VENV)/.installed

$(VENV)/.installed-docs: pyproject.toml constraints.txt $(PY)
	$(call install,.[docs])
	@touch $(VENV)/.installed
