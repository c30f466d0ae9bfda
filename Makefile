# make app: everything from a fresh clone to the dashboard. make docs: the documentation as a site, in site/.
# make test: style, types and every test that is quick. make test-slow: browsers, faults, R, LibreOffice, the starter model.
# make proofs: long simulations, real files and real engines, by hand. CI runs the first two; every test is in one of the three.
# make bench: how fast answers come, finetuning, and a corpus of full size (BENCH=--quick for some minutes).
# make bench-files FILES=FOLDER: what importing does with a folder of your own files, every count checked.
# make bench-numbers: simulations that show whether intervals hold what they promise (BENCH=--quick: under ten minutes).
SHELL := /bin/bash
PYTHON ?= $(shell for v in python3 python3.13 python3.12 python3.11; do \
	$$v -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$v && break; done)
RUN := .venv/bin/python -m
PIP := $(RUN) pip install --disable-pip-version-check
NOT_INSTALLED := echo "The requirements could not be installed; check the network and run the command again." >&2; exit 2
TESTS := $(RUN) pytest -n 3 --dist loadgroup --max-worker-restart 0

.PHONY: app setup test test-quick test-slow proofs check docs bench bench-files bench-numbers clean

app: setup
	@$(RUN) socrates_core app $(if $(PORT),--port $(PORT))

setup: .venv/installed
	@$(RUN) socrates_core setup

test test-quick test-slow proofs: export PYTHONDONTWRITEBYTECODE = # or each of some 100 processes compiles the project
test: .venv/developed
	@$(MAKE) --no-print-directory --jobs 2 check test-quick

test-quick: .venv/developed setup
	@tests/chromium.sh
	@$(TESTS) -m quick

test-slow: .venv/developed setup
	@tests/chromium.sh
	@tests/libreoffice.sh
	@$(TESTS) -m slow

proofs: .venv/developed setup
	@SOCRATES_FAULT_TRIALS=$${SOCRATES_FAULT_TRIALS:-20} $(TESTS) -m proof

check: .venv/developed
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

docs: .venv/developed
	@NO_MKDOCS_2_WARNING=1 $(RUN) mkdocs build --strict --quiet
	@echo "The documentation is in site/index.html"

bench: .venv/developed setup
	@$(RUN) benchmarks.score $(BENCH)
	@$(RUN) benchmarks.precision $(BENCH)
	@$(RUN) benchmarks.memory
	@$(RUN) benchmarks.train $(BENCH)
	@$(RUN) benchmarks.scale $(BENCH)

bench-numbers: .venv/developed
	@$(RUN) benchmarks.numbers $(BENCH)

bench-files: .venv/developed
	@if [ -z "$(FILES)" ]; then echo "Name the folder of your files: make bench-files FILES=FOLDER" >&2; exit 2; fi
	@$(RUN) benchmarks.files "$(FILES)"

.venv/installed: requirements.txt pyproject.toml
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; fi
	@echo "Installing the pinned requirements into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv || { echo "The virtual environment .venv could not be made; on Debian: apt install python3-venv" >&2; exit 2; }
	@$(PIP) --progress-bar on -r requirements.txt || { $(NOT_INSTALLED); }
	@$(PIP) --quiet --no-deps --no-build-isolation --editable . || { $(NOT_INSTALLED); }
	@touch $@

.venv/developed: .venv/installed requirements-dev.txt
	@echo "Installing what tests and checks need"
	@$(PIP) --quiet -r requirements-dev.txt || { $(NOT_INSTALLED); }
	@touch $@

clean:
	rm -rf .venv site .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: faults fuzz audit
faults: .venv/developed setup
	@tests/chromium.sh
	@SOCRATES_FAULT_TRIALS=$${SOCRATES_FAULT_TRIALS:-20} $(RUN) pytest tests/faults $(FAULTS)

fuzz: .venv/developed setup
	@$(RUN) tests.fuzz $(FUZZ)

audit: .venv/developed
	@$(RUN) tests.audit
