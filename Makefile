.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
PARALLEL := --numprocesses 2 --dist loadfile --durations 30 --durations-min 5

.PHONY: help setup setup-core quickstart test check unit core bench clean

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## / { printf "make %-12s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## make .venv with everything (seconds the second time)
	@scripts/setup

setup-core:
	@scripts/setup core

quickstart: setup ## a real search with an attached phone, or this computer, as the device
	@$(BIN)/pocketnas quickstart

test: check unit core ## run all checks

check: setup ## linters, types, layers
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/lint-imports

unit: setup ## the tests, those with loopback phones by themselves
	$(BIN)/python -m pytest $(PARALLEL) -m "not loopback"
	$(BIN)/python -m pytest -m loopback

core: setup-core ## the tests of the core, installed alone without torch
	.venv-core/bin/python -m pytest $(PARALLEL) -m "not loopback" --core

bench: setup ## quick versions of all benchmarks
	@$(BIN)/python benchmarks/run_all.py --quick

clean: ## remove what make made; runs and measurements stay
	rm -rf .venv .venv-core .venv-tflite214 .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis dist
