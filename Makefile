# Everything runs in an environment of its own; `make` alone lists what there is.

VENV ?= .venv
PYTHON ?=
ARGS ?=
# Damaged images that `make fuzz` decodes, and what they are made from.
FILES ?= 20000
SEED ?=
# Photographs to build the starter release from; never part of the repository.
DATA ?= ../shared/data
# How much `make chaos` breaks; ARGS="--release starter" as well. It and `make soak` take POSTS=, each
# with a default of its own.
KILLS ?= 4
RESTARTS ?= 1
REBALANCES ?= 2
MEMBERS ?= 3

PY := $(VENV)/bin/python
# Touched last, so that an installation that was cut short is taken up again.
READY := $(VENV)/.installed

.DEFAULT_GOAL := help
.PHONY: help install demo test test-fast services lint types format starter benchmark benchmark-overload delivery soak photographs transformations fuzz chaos clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

install: $(READY) ## Build the environment from requirements.lock (done by the others as needed)

demo: $(READY) ## Watch a worker decide posts, without Java, Docker or GPU (ARGS="--posts 100")
	@$(VENV)/bin/moderator demo $(ARGS)

test: $(READY) services ## Run all tests, with the real Kafka and Redis (ARGS="-k delivery")
	@$(PY) -m pytest $(ARGS)

test-fast: $(READY) ## Run the tests that need no Kafka and little time
	@tests/services/install.sh redis
	@$(PY) -m pytest -m "not slow" $(ARGS)

services: $(READY) ## Install what the tests start: redis-server, Java, Maven (by apt), Kafka's jars
	@tests/services/install.sh redis kafka
	@$(PY) tests/services/kafka_jars.py >/dev/null

lint: $(READY) ## Check style and types
	@$(PY) -m ruff check .
	@$(PY) -m ruff format --check .
	@$(MAKE) --no-print-directory types

types: $(READY) ## Check types alone
	@$(PY) -m mypy

format: $(READY) ## Format the code and mend what can be mended
	@$(PY) -m ruff check --fix-only .
	@$(PY) -m ruff format .

starter: $(READY) ## Build models/starter from the photographs in DATA
	@$(PY) -m training starter --data $(DATA) --work .cache/starter --out models/starter --replace $(ARGS)
	@$(PY) -m tests.benchmarks.transformations --data $(DATA)
	@$(PY) -m training card models/starter --folds training/results/folds \
		--transformations training/results/transformations/results.json

benchmark: $(READY) services ## Measure the worker against what its own work allows
	@$(PY) -m tests.benchmarks --images $(DATA) $(ARGS)

benchmark-overload: $(READY) ## Measure what each level of overload saves
	@$(PY) -m tests.benchmarks.shedding --images $(DATA) $(ARGS)

delivery: $(READY) services ## Measure what exactly-once costs against at-least-once
	@$(PY) -m tests.benchmarks.delivery --images $(DATA) --posts 300 $(ARGS)

soak: $(READY) services ## Have one member decide POSTS posts; memory, descriptors, queues must stay flat
	@$(PY) -m tests.benchmarks.soak --posts $(or $(POSTS),200000) $(ARGS)

photographs: $(READY) services ## Have a worker decide all photographs in DATA; print confusion tables
	@$(PY) -m tests.benchmarks.photographs --data $(DATA) $(ARGS)

transformations: $(READY) ## Count what is still flagged in screenshots, collages, strips ... (ARGS="--ways collage")
	@$(PY) -m tests.benchmarks.transformations --data $(DATA) $(ARGS)

fuzz: $(READY) ## Decode damaged images: FILES=20000 of SEED (default: the date); keeps what kills
	@$(PY) -m tests.fuzz --files $(FILES) $(if $(SEED),--seed $(SEED)) $(ARGS)

chaos: $(READY) services ## Break members, broker, network: POSTS= KILLS= RESTARTS= REBALANCES= MEMBERS= SEED=
	@$(PY) -m tests.chaos --posts $(or $(POSTS),2000) --kills $(KILLS) --restarts $(RESTARTS) \
		--rebalances $(REBALANCES) --members $(MEMBERS) $(if $(SEED),--seed $(SEED)) $(ARGS)

clean: ## Remove caches and build outputs; the environment stays
	@rm -rf build dist *.egg-info .cache .pytest_cache .mypy_cache .ruff_cache .hypothesis
	@find models moderator training tests -name __pycache__ -prune -exec rm -rf {} +

$(READY): requirements.lock pyproject.toml
	@.ci/environment "$(VENV)" "$(PYTHON)"
	@touch $@
