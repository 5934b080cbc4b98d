# Everything there is to run. Continuous integration calls only these.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help
.PHONY: help setup demo check test it cover chart conformance simulation chaos hostile mutation differential fuzz bench bench-open bench-recovery \
	takeover docs

# What goes to pytest, for example: make test ARGS="-k retry"
ARGS ?=
# Tests mostly wait for brokers and processes: four at a time take half the time on two cores. A test that takes its
# process down ends the run, and is named: where the process is replaced, pytest-xdist 3.8 may wait for ever (its
# issues 784 and 1323).
PARALLEL ?= -n 4 --dist loadfile --max-worker-restart 0
BIN := .venv/bin
unexport PYTHONDONTWRITEBYTECODE # else every process compiles what it imports: 0.6 s
CHECKED := processor tests examples benchmarks
MODULE_LINES := 500

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | sed -E 's/^([a-z-]+):.*## (.*)/\1|\2/' | column -t -s '|'

setup: .venv/.locked .cache/.broker ## Make .venv with the locked dependencies; fetch the broker of the tests

.venv/.locked: pyproject.toml uv.lock scripts/setup.sh
	@scripts/setup.sh python
	@touch $@

.cache/.broker: tests/broker/pom.xml scripts/setup.sh | .venv/.locked
	@scripts/setup.sh broker

demo: setup ## Run the order example in processes of its own, and kill one of them
	@$(BIN)/python examples/order/demo.py

check: .venv/.locked ## Lint, format, types, layers, module length (20 s)
	@$(BIN)/ruff check .
	@$(BIN)/ruff format --check .
	@$(BIN)/mypy $(CHECKED)
	@$(BIN)/lint-imports --no-logo
	@find processor -name '*.py' -exec wc -l {} + | awk '$$2 != "total" && $$1 > $(MODULE_LINES) { \
		print $$2 ": " $$1 " lines, at most $(MODULE_LINES)"; long = 1 } END { exit long }'

test: setup ## Run every test; those that need a Kafka skip where none can be had (ARGS=--require-kafka: fail)
	@$(BIN)/pytest $(PARALLEL) $(ARGS)

it: setup ## Run only the tests against a real Kafka
	@$(BIN)/pytest -m kafka --require-kafka $(ARGS)

cover: .venv/.locked ## Branch coverage of model and interpreter: all of it
	@$(BIN)/pytest -q tests/model tests/interpreter tests/scenarios tests/properties --cov=processor.model --cov=processor.interpreter \
		--cov-branch --cov-report=term:skip-covered --cov-fail-under=100 $(ARGS)

.cache/helm/helm: scripts/setup.sh
	@scripts/setup.sh helm

chart: .venv/.locked .cache/helm/helm ## Render the Helm chart, and validate what comes of it (builds helm once: 2 minutes)
	@$(BIN)/pytest -q tests/helm $(ARGS)

conformance: .venv/.locked ## Judge what AWS was recorded to do; fail where too little is right (CONFORMANCE_DIR; ARGS=FILE: what differs)
	@$(BIN)/python -m tests.conformance $(ARGS)

simulation: .venv/.locked ## Ten thousand runs over a simulated broker (3 minutes; ARGS="--seed 428": one of them, told in full)
	@$(BIN)/python -m tests.simulation $(ARGS)

chaos: setup ## Real processors on three real brokers while things go wrong (ARGS="--minutes 60 --seed 1"); adds to the ledger (ARGS=--ledger: what it comes to)
	@$(BIN)/python -m tests.chaos $(ARGS)

hostile: setup ## 100,000 hostile commands among 10,000 good ones, on three real brokers (15 minutes; ARGS="--seed 1 --rate 40" on a larger machine)
	@$(BIN)/python -m tests.chaos.hostile $(ARGS)

mutation: .venv/.locked ## Mutation testing of the interpreter (an hour and more; ARGS=--report: what the last run found)
	@scripts/setup.sh mutation
	@nice $(BIN)/python -m tests.mutation $(ARGS)

differential: .venv/.locked ## Ask moto for all its answers anew, and compare (a minute)
	@$(BIN)/python -m tests.differential $(ARGS)

fuzz: .venv/.locked ## Throw hostile input at what reads users' texts (ARGS="paths --seconds 600"; with atheris if installed)
	@$(BIN)/python -m tests.fuzz $(ARGS)

bench: setup ## Measure; results go to the terminal
	@$(BIN)/python -m benchmarks $(ARGS)

takeover: setup ## Processors restarted, killed and stopped on three brokers: how long their partitions wait (ARGS="--rounds 10 --only killed")
	@$(BIN)/python -m benchmarks.takeover $(ARGS)

bench-recovery: setup ## How long a killed processor takes to come back (ARGS="--only open --open 10000")
	@$(BIN)/python -m benchmarks.recovery $(ARGS)

docs: .venv/.locked ## Write docs/asl-coverage.md from what the shared cases and the interpreter's tests use (two minutes)
	@$(BIN)/python -m tests.conformance.coverage

bench-open: setup ## A million executions open in one processor: its memory (10 GB of disk; ARGS="--executions 100000")
	@$(BIN)/python -m benchmarks.open $(ARGS)
