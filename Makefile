# make demo: the whole loop on the embedded model. make check: lint, spelling, types and tests. Everything lives in .venv.
SHELL := /bin/bash
VENV := .venv
STAMP := $(VENV)/.installed
# The first interpreter that really runs (a name on PATH may be a launcher without one) and is new enough.
PYTHON ?= $(shell for name in python3.11 python3.12 python3.13 python3; do \
	$$name -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$name; break; }; done)

export PATH := $(CURDIR)/$(VENV)/bin:$(PATH)
export DO_NOT_TRACK := 1
# The suite starts a hundred interpreters, and each would compile the project anew where somebody has turned this on.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: install install-test browser demo check format lint spell types test test-fast soak bench audit build-world

install: $(STAMP)

install-test: $(STAMP)-test

$(VENV)/bin/python:
	@[ -n "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: make PYTHON=/path/to/python" >&2; exit 2; }
	$(PYTHON) -m venv $(VENV)

$(STAMP): pyproject.toml constraints.txt | $(VENV)/bin/python
	python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e .
	@touch $@

$(STAMP)-test: $(STAMP)
	python -m pip install --disable-pip-version-check --quiet -c constraints.txt -e '.[test]'
	@touch $@

demo: install
	hfi run

# Chromium is a system package: fetched where that is possible, else the browser tests skip and say so.
browser:
	@command -v chromium >/dev/null || command -v chromium-browser >/dev/null || command -v google-chrome >/dev/null \
	|| { [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null \
	  && apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -qq -y --no-install-recommends chromium; } \
	|| echo "No Chromium here and none could be installed: the browser tests will skip."

# What continuous integration runs. Lint, spelling and types come first: they fail in seconds.
check: lint spell types test

format: install-test
	ruff check --fix .
	ruff format .

lint: install-test
	ruff check .
	ruff format --check .

spell: install-test
	codespell

types: install-test
	mypy

# Three processes on two cores, since much of the suite waits for servers and for what it has killed. A file's tests stay
# together, and those that take minutes come first (tests/conftest.py), or one process would end with them alone.
test: install-test browser
	python -m pytest -n 3 --dist loadfile --no-loadscope-reorder

# The tests that start no interpreter, no server, no browser and no whole loop. They wait for nothing, so that a third
# process on two cores would only import everything once more.
test-fast: install-test
	python -m pytest -n 2 --dist loadfile -m 'unit and not soak'

soak: install-test browser
	python -m pytest -m soak --timeout 0

bench: install-test
	python -m benchmarks

# Known holes in the pinned versions, a bill of materials, and everybody's licence; needs a network.
AUDIT := build/audit/bin
audit: install-test
	python -m venv build/audit
	$(AUDIT)/pip install --disable-pip-version-check --quiet pip-audit==2.10.1 cyclonedx-bom==7.5.0 pip-licenses==5.5.5
	$(AUDIT)/pip-licenses --python $(VENV)/bin/python --from=mixed --with-system --ignore-packages hfi-pipeline pip \
	  --format=csv --output-file docs/reference/licences.csv
	$(AUDIT)/cyclonedx-py environment $(VENV)/bin/python --output-file build/sbom.json
	$(AUDIT)/pip-audit --requirement constraints.txt --no-deps --disable-pip

# The embedded model anew, and the second base model: build/worlds/badges, build/worlds/signs. One: make build-world WORLD=signs
# The second begins with the networks of the package's model.
WORLD ?= badges signs
build-world: install
	set -e; for world in $(WORLD); do \
	  [ $$world = badges ] && start= || start="--start embedded"; \
	  python -m hfi_core.embedded.build build/worlds/$$world --world $$world $$start; \
	  python -m hfi_core.embedded.measure build/worlds/$$world; \
	done
