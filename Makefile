# Every task of the project; CI calls the same. `make help` lists them.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

PYTHON ?= python3
WHEEL_PYTHON ?= $(PYTHON)
VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
export PATH := $(CURDIR)/$(BIN):$(PATH)
export DVC_NO_ANALYTICS := 1

.PHONY: help setup demo repro test test-deep check policy wheel format bench lock clean

help: ## list the tasks
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-9s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: $(READY) ## install everything of requirements.lock into .venv

demo: $(READY) ## run the pipeline on real data and let a year pass; QUICK=1 lets fewer months pass
	@leverframe demo $(if $(QUICK),--quick)

repro: $(READY) ## run what is stale, as `dvc repro` does
	@dvc repro

test: $(READY) check ## run the linters and all tests
	@tests/debian-packages.sh redis-server nginx prometheus
	@test -f tests/workflows/node_modules/.ready || { cd tests/workflows && npm ci --silent --no-audit --no-fund && touch node_modules/.ready; }
	@echo "== tests: unit, integration, loop, workflows"
	@pytest

test-deep: export HYPOTHESIS_PROFILE := deep
test-deep: test ## run make test with twenty times as many random examples and the tests marked deep; nightly in CI

# The longest first: two run at a time, and each tells what it said when it is over. A test that cannot be collected is
# told here, and what the collection compiles no worker of pytest has to.
CHECKS := mypy tests imports workflows ruff docstrings dvc.yaml actions pictures terraform

check: $(READY) ## linters, types, imports, docstrings, derived files
	@$(MAKE) --no-print-directory --jobs=2 $(if $(filter output-sync,$(.FEATURES)),--output-sync=target) $(CHECKS:%=check-%)

check-%:
	@echo "== $*"
	@$(CHECK_$*)

CHECK_ruff         = ruff check . && ruff format --check .
CHECK_mypy         = mypy
CHECK_tests        = said=$$(pytest --collect-only -qq --numprocesses=0 2>&1) || { echo "$$said"; exit 1; }
CHECK_imports      = lint-imports
CHECK_docstrings   = interrogate src pipelines benchmarks actions docs
CHECK_dvc.yaml     = leverframe stages --check
CHECK_actions      = python -m actions.generate --check
CHECK_pictures     = python -m docs.picture --check && python -m docs.band --check
CHECK_terraform    = if program=$$(command -v terraform || command -v tofu); \
  then TF_CLI_CONFIG_FILE=/dev/null "$$program" fmt -check -recursive -diff terraform; \
  else echo "SKIPPED: neither terraform nor tofu is on PATH, so nobody looked at the layout of terraform/"; fi
CHECK_workflows    = zizmor --quiet --offline --strict-collection --persona auditor . \
  && check-jsonschema --quiet --builtin-schema vendor.github-workflows .github/workflows/*.yml \
  && check-jsonschema --quiet --builtin-schema vendor.github-actions actions/*/action.yml

# In an environment of its own: checkov needs other versions of packages than the project.
policy: $(READY) ## check terraform/ with checkov; nightly in CI
	@test -x .checkov/bin/python || uv venv --quiet --python $(BIN)/python .checkov
	@uv pip sync --python .checkov/bin/python --quiet --require-hashes terraform/policy.lock
	@.checkov/bin/python terraform/policy.py

# What somebody gets who has nothing of this repository: the newest versions that the wheel allows, and no other file.
wheel: $(READY) ## build dist/*.whl, and try it in an empty environment outside of the repository; in CI
	@rm -rf dist && python -m hatchling build --target wheel --directory dist >/dev/null
	@place=$$(mktemp -d) && trap 'rm -rf "$$place"' EXIT && wheel=$$(echo $(CURDIR)/dist/*.whl) \
	  && uv venv --quiet --python $(WHEEL_PYTHON) "$$place/env" && export VIRTUAL_ENV="$$place/env" PATH="$$place/env/bin:$$PATH" \
	  && uv pip install --quiet "leverframe[serving,github] @ file://$$wheel" && uv pip check --quiet \
	  && git init --quiet "$$place/empty" && cd "$$place/empty" && leverframe --version && leverframe init \
	  && uv pip sync --dry-run --require-hashes requirements.lock

format: $(READY) ## let ruff write the code's layout
	@ruff check --fix . && ruff format .

bench: $(READY) ## every benchmark, each one JSON object
	@for file in benchmarks/*.py; do \
	  name=$$(basename $$file .py); \
	  case $$name in __init__|alternate|redis_server|revisions) continue;; esac; \
	  python -m benchmarks.$$name --json; \
	done

RESOLVE := uv pip compile pyproject.toml --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
  --no-annotate --no-header

CHECKOV := 3.3.30

lock: $(READY) ## resolve requirements.lock anew: one resolution for every extra, hashes, no address
	@$(RESOLVE) --all-extras --universal --python-version 3.11 --output-file requirements.lock
	@$(RESOLVE) --extra serving --constraint requirements.lock --python-platform linux --python-version 3.12 \
	  --output-file src/leverframe/kubernetes/requirements.lock
	@awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' requirements.lock > src/leverframe/kubernetes/uv.lock
	@echo checkov==$(CHECKOV) | uv pip compile - --quiet --generate-hashes --no-emit-index-url --no-emit-find-links \
	  --no-annotate --no-header --universal --python-version 3.11 --output-file terraform/policy.lock

clean: ## remove what the tasks made, except data and caches of DVC
	@rm -rf $(VENV) .checkov .leverframe .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache

# What builds a package is verified by its hash, too; where the lock lacks it, uv refuses to build.
BUILT := --require-build-hashes --preview-features build-dependency-hashes

# uv itself comes from the lock file too: its block is the lines from `uv==` to the last hash. It is told which
# environment to fill, for it would fill one that happens to be active.
$(READY): requirements.lock pyproject.toml
	@$(PYTHON) -c 'import sys; ok = (3, 11) <= sys.version_info[:2] < (3, 13); \
	  sys.exit(0 if ok else f"Leverframe needs Python 3.11 or 3.12, {sys.executable} is {sys.version.split()[0]}: make PYTHON=python3.12 setup")'
	@echo "== setting up $(VENV) (about a minute, once)"
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV)
	@awk '/^uv==/{on=1} on{print} on&&!/\\$$/{exit}' requirements.lock > $(VENV)/uv.lock
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check --require-hashes --requirement $(VENV)/uv.lock
	@$(BIN)/uv pip sync --python $(BIN)/python --quiet --compile-bytecode --require-hashes \
	  $(BUILT) --build-constraint requirements.lock requirements.lock
	@$(BIN)/uv pip install --python $(BIN)/python --quiet --no-deps --no-build-isolation --editable .
	@touch $@
