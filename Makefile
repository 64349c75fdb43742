# What a developer types. All that is made here lies below the checkout, in folders with a dot.

PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null \
	&& echo $$python && break; done)
BIN := .venv/bin
ARGS :=
NAME := demo
# One more than there are cores: tests wait for servers half of their time.
PROCESSES = $$(($$(nproc) + 1))
# The processes of a test run import the same modules hundreds of times: they compile them once.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help venv demo watch env down test pooled bench mutants chaos compare faults matrix check format kinds dashboard lock clean python

help: ## Say what there is
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 14

venv: .venv/complete ## Make .venv, again only when what it is made from changed

demo: venv ## Show Duly at work: servers, processes, jobs
	@$(BIN)/python -m dev.demo $(ARGS)

watch: venv ## Watch the demo: Prometheus with the alerts, and the dashboard on a page
	@$(BIN)/python -m dev.watch

env: python ## Print settings for a shell in which `duly` works on the demo; NAME=shop: on another database
	@urls=$$($(PYTHON) -m dev.servers up --name $(NAME)) && echo "$$urls" | sed "s/=\(.*\)/='\1'/; s/^/export /"
	@echo 'export PATH="$$PATH:$(CURDIR)/.venv/bin"'

down: python ## Stop what demo and test started; data stays
	@if [ -x $(BIN)/python ]; then $(BIN)/python -m dev.demo down; fi
	@$(PYTHON) -m dev.servers down

test: venv ## Run all tests but the slow ones and typing, against real servers; ARGS="-k name"
	@$(BIN)/python -m dev.servers up --name test >/dev/null && \
		$(BIN)/pytest --numprocesses $(PROCESSES) --dist worksteal --ignore tests/typing $(ARGS)

mutants: venv ## Take each guard out of the SQL: a test must fail; ARGS="CLAIM RETRY" for some steps
	@urls=$$($(BIN)/python -m dev.servers up --name test) && \
		env $$urls $(BIN)/python -m tests.protocol.mutate_guards $(ARGS)

pooled: venv ## Run the acceptance tests through PgBouncer
	@urls=$$($(BIN)/python -m dev.servers up --name test) && \
		env $$urls $(BIN)/pytest tests/acceptance --pooled $(ARGS)

chaos: venv ## 10,000 jobs while everything breaks; ARGS="--seed 7 --system celery", --help says more
	@$(BIN)/python -m tests.chaos $(ARGS)

compare: venv ## The same task by BackgroundTask, Celery, Dramatiq and Duly: kill, hang, fail, and see
	@$(BIN)/python -m tests.compare $(ARGS)

faults: venv ## Kill, stop, wipe and cut off all there is, on servers of its own; trace the way of a job
	@$(BIN)/pytest tests/faults tests/integration/engine/test_ways.py \
		tests/acceptance/test_kill_loops.py tests/acceptance/test_metrics.py \
		tests/acceptance/test_demo.py tests/acceptance/test_own_app.py tests/hostile \
		-m "slow or not slow" $(ARGS)

bench: venv ## Measure Duly beside its peers; ARGS="relay --rounds 5" for some, --help says more
	@$(BIN)/python -m bench $(ARGS)

matrix: venv ## Run the same with the lowest SQLAlchemy, then on Postgres 18 and RabbitMQ 4
	@$(BIN)/python -m tests.matrix $(ARGS)

check: venv ## Run what needs no server: format, lint, types, imports, unit and typing tests
	@$(BIN)/ruff format --check --quiet .
	@$(BIN)/ruff check --quiet .
	@$(BIN)/mypy
	@$(BIN)/lint-imports
	@$(BIN)/pytest tests/unit tests/typing

kinds: venv ## Write README's table of the service's kinds, and that of the checks in docs/doctor.md
	@$(BIN)/python -m dev.kinds_table
	@$(BIN)/python -m dev.checks_table

format: venv ## Format the code and mend what ruff can mend
	@$(BIN)/ruff check --quiet --fix .
	@$(BIN)/ruff format --quiet .

dashboard: venv ## Write the dashboard for Grafana, and the tables of its panels
	@$(BIN)/python -m dev.dashboard

lock: python ## Lock the dependencies of pyproject.toml; ARGS=--upgrade takes the newest
	@$(PYTHON) -m dev.lock $(ARGS)

clean: down ## Remove all that was made here, data of the servers included
	@if [ -f .servers/elsewhere ]; then rm -rf "$$(cat .servers/elsewhere)"; fi
	@rm -rf .venv .servers .demo .mypy_cache .ruff_cache .pytest_cache .hypothesis \
		.import_linter_cache .chaos .compare .bench
	@find . -name __pycache__ -type d -exec rm -rf {} +

.venv/complete: requirements-dev.txt pyproject.toml | python
	@$(PYTHON) -m dev.venv
	@touch $@

python:
	@[ "$(PYTHON)" ] || { echo "Python 3.11 or newer is needed: apt install python3" >&2; exit 1; }
