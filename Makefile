# Two commands do everything from a bare machine: `make demo` and `make test`. `make help` lists the rest.

VENV ?= .venv
READY_RUN := $(VENV)/.ready-run
READY_TEST := $(VENV)/.ready-test
# What `make benchmark` measures; BENCHMARK= for everything, which takes hours.
BENCHMARK ?= --models sleepstudy,sleepstudy-refits,InstEval,crossed-100k --timeout 120
# What `make regress` compares the working tree with, how often each is measured, and on which models.
BASE ?= main
ROUNDS ?= 5
MODELS ?=
RECIPES := pyproject.toml meson.build lmmsparse/meson.build meson.options scripts/bootstrap.sh scripts/system.sh

.DEFAULT_GOAL := help
.PHONY: help demo test lint coverage sanitize benchmark regress references datasets clean

help: ## this list
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/  make \1	\2/p' $(MAKEFILE_LIST)

demo: $(READY_RUN) ## a first fit, with all the set-up that it needs
	@$(VENV)/bin/lmmsparse demo

test: $(READY_TEST) ## style, layers, types and tests, with all the set-up that they need
	@VENV=$(VENV) scripts/check.sh style cython layers types tests

lint: $(READY_TEST) ## style, layers and types only
	@VENV=$(VENV) scripts/check.sh style cython layers types

coverage: $(READY_TEST) ## the tests with their coverage of lines and branches, as tables and as pages
	@COVERAGE=1 VENV=$(VENV) scripts/check.sh tests
	@$(VENV)/bin/python scripts/coverage_floor.py --html build/coverage/html

sanitize: $(READY_TEST) ## the kernels' tests with checks of bounds, addresses and undefined behaviour (minutes)
	@VENV=$(VENV) scripts/sanitize.sh

benchmark: $(READY_RUN) ## seconds, evaluations and peak memory, beside the programs that are there (docs/benchmarks.md)
	@$(VENV)/bin/python -m benchmarks run $(BENCHMARK) --out $(VENV)/benchmarks.json
	@$(VENV)/bin/python -m benchmarks check $(VENV)/benchmarks.json

regress: $(READY_TEST) ## seconds and memory beside an earlier version, measured in turns (BASE=main MODELS=InstEval)
	@$(VENV)/bin/python -m benchmarks regress --base $(BASE) --rounds $(ROUNDS) $(if $(MODELS),--models $(MODELS))

references: ## lme4's answers for the tests, computed again (needs R with lme4, lmerTest, pbkrtest, jsonlite)
	Rscript tests/references/reference.R tests/references

datasets: ## the packaged datasets, written again (needs R with lme4, mlmRev, jsonlite)
	Rscript scripts/make_datasets.R lmmsparse/datasets/data

clean: ## remove the environment, builds and caches
	rm -rf $(VENV) build dist .pytest_cache .mypy_cache .ruff_cache .hypothesis
	find lmmsparse tests scripts -name __pycache__ -type d -prune -exec rm -rf {} +

# The stamps are newer than everything that decides what is installed, so a ready environment costs nothing.
# An environment with the test tools serves the demo as well.
$(READY_TEST): $(RECIPES)
	@VENV=$(VENV) scripts/bootstrap.sh test
	@touch $(READY_TEST) $(READY_RUN)

$(READY_RUN): $(RECIPES)
	@VENV=$(VENV) scripts/bootstrap.sh run
	@touch $@
