# Every target works on a fresh clone by itself: each begins with `setup`, which costs milliseconds
# once .venv fits the lock. What takes root or system packages is in the targets that say so.

BIN := .venv/bin
PYTHON := $(BIN)/python
NODE_BIN := PATH="$(CURDIR)/$(BIN):$(CURDIR)/node_modules/.bin:$$PATH"

# CI draws the same examples in the same order every time; at a desk they are fewer and new.
export HYPOTHESIS_PROFILE ?= $(if $(CI),ci,dev)
export PYTHONHASHSEED ?= $(if $(CI),0,random)
ORDER := $(if $(CI),-p randomly --randomly-seed=1)
PYTEST := $(BIN)/pytest -q $(ORDER)

# ARGS goes to the program: make test ARGS="-k circuit", make demo ARGS="--level private".
ARGS ?=

.DEFAULT_GOAL := help
.PHONY: help setup demo test check test-system bench prove coverage lock clean

help: ## this list
	@sed -n 's/^\([a-z%-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 16

setup: ## the Python environment in .venv, from the hashed lock
	@deploy/setup.sh

setup-system: setup ## what system tests need: system packages (as root) and npm packages
	@deploy/setup-system.sh

demo: setup ## a network of twelve relays and a file between two addresses
	@$(BIN)/psp demo $(ARGS)

test: setup ## all tests that need no root, no browser and no Internet
	@$(PYTEST) -n 2 --dist worksteal $(ARGS)

test-system: setup-system ## whole systems: contracts, other implementations, processes, namespaces
	@$(PYTEST) --durations=20 tests/system $(ARGS)

# ---- lists: what is one step more is one word more ----------------------------------------------

CHECKS := format ruff types layers unused dependencies spelling shell locks tracked generated package
.PHONY: $(addprefix check-,$(CHECKS))

check: $(addprefix check-,$(CHECKS)) ## linters, locks, packages, tracked files

check-format: setup
	$(BIN)/ruff format --check --quiet
check-ruff: setup
	$(BIN)/ruff check --quiet
check-types: setup
	$(BIN)/mypy
check-layers: setup
	$(BIN)/lint-imports --no-logo
check-unused: setup
	$(BIN)/vulture
check-dependencies: setup
	$(BIN)/deptry .
check-spelling: setup
	$(BIN)/codespell
check-shell: setup
	bash -n .ci/run
	for script in deploy/*.sh; do sh -n $$script || exit 1; done
check-locks: setup
	$(PYTHON) deploy/checks/locks.py
check-tracked: setup
	$(PYTHON) deploy/checks/tracked.py
check-generated: setup
	$(PYTEST) tests/test_docs.py tests/test_generated.py
check-package: setup
	$(PYTHON) deploy/checks/package.py

BENCHES := circuit session link login layer handshake relay load onion stream_socket
SYSTEM_BENCHES := tor instructions links # with system packages, links as root: not in `make bench`
PROOFS := examples fuzz chaos soak flood games timing simulation contracts rsync streams bare
.PHONY: $(addprefix bench-,$(BENCHES) $(SYSTEM_BENCHES)) $(addprefix prove-,$(PROOFS))

bench: $(addprefix bench-,$(BENCHES)) ## the figures of bench/, as JSON

$(addprefix bench-,$(BENCHES)): bench-%: setup
	@$(PYTHON) bench/$*.py $(ARGS)

$(addprefix bench-,$(SYSTEM_BENCHES)): bench-%: setup-system
	@$(PYTHON) bench/$*.py $(ARGS)

prove: $(addprefix prove-,$(PROOFS)) ## long evidence: thousands of examples a test, a bare machine

prove-examples: export HYPOTHESIS_PROFILE = nightly
prove-examples: setup # no test may hang, but one may take an hour
	@$(PYTEST) -n 2 --dist worksteal -o faulthandler_timeout=3600 $(ARGS)

prove-fuzz: setup # every target of fuzz/
	@for target in $$($(PYTHON) -c 'from fuzz.run import TARGETS; print(*TARGETS)'); do \
		echo "$$target"; $(PYTHON) -m fuzz.run "$$target" --random 100000 || exit 1; \
	done

prove-chaos: setup # docs/evidence/chaos.md is made of this
	@$(BIN)/psp chaos --runs 100 --relays 16 --megabytes 50 $(ARGS)

prove-flood: setup # docs/evidence/flood.md is made of this
	@$(PYTHON) bench/flood.py $(ARGS)

prove-soak: setup # docs/evidence/soak.md is made of this
	@$(PYTHON) bench/soak.py --page $(ARGS)

prove-games: setup # docs/evidence/games.md is made by this
	@$(PYTHON) -m tests.games $(ARGS)

prove-timing: setup # docs/evidence/timing.md is made by this
	@$(PYTHON) -m tests.games.timing $(ARGS) 2>/dev/null

prove-simulation: setup # docs/simulation.md and its plots are made by this
	@$(PYTHON) bench/simulation.py --page $(ARGS)

prove-contracts: export FOUNDRY_PROFILE = prove
prove-contracts: setup-system
	@$(NODE_BIN) forge test

prove-rsync: export PSP_RSYNC_MEGABYTES = 1000
prove-rsync: setup-system # a gigabyte through the proxy
	@$(PYTEST) tests/system/gateway -k rsync $(ARGS)

prove-streams: export PSP_STREAMS_SECONDS = 180
prove-streams: setup-system # 200 streams through one port: no error, memory flat
	@$(PYTEST) tests/system/gateway -k two_hundred $(ARGS)

prove-bare:
	@deploy/try-bare.sh

# -------------------------------------------------------------------------------------------------

coverage: setup ## lines and branches that the tests of `make test` reach
	@$(BIN)/coverage erase
	@$(BIN)/coverage run -m pytest -q $(ORDER) $(ARGS)
	@$(BIN)/coverage report

lock: ## make requirements/*.lock again from pyproject.toml
	@deploy/lock.sh $(ARGS)

clean: ## remove what the other targets made
	rm -rf .venv build dist node_modules .hypothesis .coverage .mypy_cache .ruff_cache .import_linter_cache
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
