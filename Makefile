# make app: everything from a fresh clone to the dashboard. make test: everything that CI runs.
# make bench: how fast answers come, finetuning, and a corpus of full size (BENCH=--quick for some minutes).
SHELL := /bin/bash
PORT ?= 8501
PYTHON ?= $(shell for v in python3 python3.13 python3.12 python3.11; do \
	$$v -c 'import sys, venv; sys.exit(not (3, 11) <= sys.version_info[:2] <= (3, 13))' 2>/dev/null && echo $$v && break; done)
RUN := .venv/bin/python -m

.PHONY: app setup test check bench clean

app: setup
	@$(RUN) socrates_core app --port $(PORT)

setup: .venv/installed
	@$(RUN) socrates_core setup

test: export PYTHONDONTWRITEBYTECODE = # some 100 processes would compile the project anew
test: .venv/installed
	@$(MAKE) --no-print-directory --jobs 2 check setup
	@tests/chromium.sh
	@tests/libreoffice.sh
	@$(RUN) pytest -n 3 --dist loadgroup --max-worker-restart 0

check: .venv/installed
	@$(RUN) ruff check .
	@$(RUN) ruff format --check .
	@$(RUN) mypy

bench: setup
	@$(RUN) benchmarks.score $(BENCH)
	@$(RUN) benchmarks.precision $(BENCH)
	@$(RUN) benchmarks.memory
	@$(RUN) benchmarks.train $(BENCH)
	@$(RUN) benchmarks.scale $(BENCH)

.venv/installed: requirements.txt
	@if [ -z "$(PYTHON)" ]; then echo "Python 3.11, 3.12 or 3.13 is needed; install one, or name it: make PYTHON=/path/to/python3.12" >&2; exit 2; fi
	@echo "Installing the pinned requirements into .venv (a few minutes the first time)"
	@$(PYTHON) -m venv .venv || { echo "The virtual environment .venv could not be made; on Debian: apt install python3-venv" >&2; exit 2; }
	@.venv/bin/python -m pip install --disable-pip-version-check --progress-bar on -r requirements.txt \
		|| { echo "The requirements could not be installed; check the network and run the command again." >&2; exit 2; }
	@touch $@

clean:
	rm -rf .venv .mypy_cache .ruff_cache .pytest_cache .hypothesis

.PHONY: faults fuzz audit
faults: setup
	@tests/chromium.sh
	@SOCRATES_FAULT_TRIALS=$${SOCRATES_FAULT_TRIALS:-20} $(RUN) pytest tests/faults $(FAULTS)

fuzz: setup
	@$(RUN) tests.fuzz $(FUZZ)

audit: .venv/installed
	@$(RUN) tests.audit
