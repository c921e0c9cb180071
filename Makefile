.DEFAULT_GOAL := help
BIN := .venv/bin
LOCK := $(BIN)/uv pip compile --quiet --universal --python-version 3.11 --generate-hashes \
	--no-emit-index-url --no-emit-find-links --no-header --no-annotate $(UPGRADE)

.PHONY: help setup demo pci-scan test lint bench bench-pacing bench-agents screenshots lock clean

help:  ## what can be made
	@awk -F ':.*## *' '/^[a-z-]+:.*##/ { printf "  make %-12s  %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup:  ## everything this checkout needs: packages, Asterisk, Redis, prompts
	@tools/setup

demo: setup  ## the whole dialer against a simulated telephone network
	@$(BIN)/dialer demo

pci-scan: setup  ## have cards keyed in, look for them everywhere, then see leaks found
	@$(BIN)/dialer pci-scan --controls

test: setup  ## the tests
	@PYTHON=$(BIN)/python tools/run_tests.sh

lint: setup  ## ruff and mypy --strict
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy

bench: setup  ## the measurements
	@for one in bench/bench_*.py; do echo "== $$one"; $(BIN)/python "$$one" || exit 1; done

bench-pacing: setup  ## every dial mode on the same simulated days (DAYS=--full for twenty a row)
	@$(BIN)/python bench/bench_pacing.py $(DAYS)

bench-agents: setup  ## real Asterisk, simulated agents and debtors: answer to sound, occupancy
	@$(BIN)/python bench/bench_agents.py

screenshots: setup  ## pictures of every page into docs/screenshots
	@$(BIN)/python tools/screenshots.py

lock:  ## write requirements/*.txt anew from pyproject.toml (UPGRADE=--upgrade for newer ones)
	@$(BIN)/python -m pip install --quiet uv
	@$(LOCK) pyproject.toml -o requirements/runtime.txt
	@$(LOCK) pyproject.toml --extra dev -c requirements/runtime.txt -o requirements/dev.txt
	@$(LOCK) pyproject.toml --extra pico -c requirements/dev.txt -o requirements/pico.txt
	@! grep -nE '^-|://' requirements/*.txt

clean:  ## remove the environment, the state of this checkout and caches (not ~/.cache/dialer)
	@rm -rf .venv .dialer build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find . -name __pycache__ -type d -prune -exec rm -rf {} +
