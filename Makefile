# Everything a working copy can do. `make` alone lists the targets.
#
#   PYTHON=python3.12      which Python the environment is made of
#   PCAP=file.pcap         input of `make sim` (default: the shipped capture)
#   ARGS="--queues 4"      more options for the command behind a target

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
JOBS ?= 2
PCAP ?=
ARGS ?=

# Verilator's makefile calls `python`, which not every system has outside an environment.
export PATH := $(CURDIR)/$(BIN):$(PATH)

.DEFAULT_GOAL := help
.DELETE_ON_ERROR:
.PHONY: help sim test test-fast storm sabotage guest-test formal bench synth lint doctor reference lock clean

help:  ## list the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

sim: doctor  ## run a capture through the simulated card (PCAP=, ARGS=)
	@$(BIN)/pagering sim $(ARGS) $(if $(PCAP),"$(PCAP)")

test: doctor  ## all tests
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "not sabotage" $(ARGS)

test-fast: doctor  ## the tests that need no simulation build
	@$(BIN)/python -m pytest -q -n $(JOBS) -m "not slow and not sabotage" $(ARGS)

storm: doctor  ## the card against its model at random, 200,000 frames (ARGS="--seed 2")
	@PYTHONPATH=tests $(BIN)/python -m storm --jobs $(JOBS) $(ARGS)

sabotage: doctor  ## whether the random test finds faults put in on purpose
	@$(BIN)/python -m pytest -q -n $(JOBS) -m sabotage $(ARGS)

guest-test: doctor  ## the driver in a Linux guest, over the kernel's VFIO, with the card's RTL
	@PAGERING_GUEST=1 $(BIN)/python -m pytest -q -m guest tests/test_guest.py $(ARGS)

formal: $(VENV)/ready  ## prove what must always hold, for every input and for ever
	@$(BIN)/pagering formal $(ARGS)

bench: doctor  ## page pool, driver, a card behind a socket, cycles per frame beside the ideal
	@$(BIN)/pagering bench-pool; pool=$$?; $(BIN)/pagering bench-driver; driver=$$?; \
		$(BIN)/pagering bench-card; card=$$?; \
		$(BIN)/pagering bench $(ARGS) && exit $$((pool | driver | card))

lint: $(VENV)/ready  ## ruff and mypy
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy --no-error-summary

synth: $(VENV)/ready  ## area and clock on an ECP5, into build/synth.json (ARGS="--part ring")
	@$(BIN)/pagering synth $(ARGS)

doctor: $(VENV)/ready  ## what is missing on this machine, and how to get it
	@$(BIN)/pagering doctor --quiet

reference: $(VENV)/ready  ## write the register reference and the C header anew
	@$(BIN)/python -m pagering.reference

lock: $(VENV)/ready  ## resolve requirements.lock anew (needs uv)
	@uv pip compile --quiet --universal --python-version 3.11 --all-extras --no-emit-index-url \
		--custom-compile-command "make lock" pyproject.toml -o requirements.lock

clean:  ## remove what the targets made; the environment stays (rm -r .venv)
	@rm -rf build sim_out .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find sw hdl tb boards tests -name __pycache__ -type d -prune -exec rm -rf {} +

# pip's quiet mode still shows its errors. --no-build-isolation: setuptools is in the lock.
$(VENV)/ready: requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
		echo "Pagering needs Python 3.11 or later; name one with make PYTHON=..." >&2; exit 1; }
	@$(PYTHON) -c 'import venv, ensurepip' 2>/dev/null || { \
		echo "This Python has no venv module; on Debian: apt install python3-venv" >&2; exit 1; }
	@echo "Setting up $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps \
		--no-build-isolation -e .
	@touch $@
