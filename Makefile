# Each job sets itself up: a fresh machine needs Python 3.11–3.13, pip, git and make.
.DEFAULT_GOAL := help
SHELL := /bin/bash
BIN := .venv/bin
READY := .venv/ready
SOURCES := $(shell find src tests -name '*.py' 2>/dev/null) pyproject.toml
ONE_THREAD := OMP_NUM_THREADS=1 MKL_NUM_THREADS=1
export PYTHON

.PHONY: help setup demo test check format docs pins clean

help:
	@echo 'make demo     the whole path on embedded data: scores on the terminal, pictures in runs/demo/report.html'
	@echo 'make test     all tests, coverage recorded'
	@echo 'make check    format, lint, types, import order, structure, coverage, docs'
	@echo 'make format   rewrite the code in the project'\''s format'
	@echo 'make docs     the documentation in site/'
	@echo 'make pins     resolve constraints.txt anew'
	@echo 'make clean    remove what these jobs made, except .venv and runs/'

setup: $(READY)

$(READY): pyproject.toml constraints.txt .ci/install
	.ci/install
	@touch $@

demo: $(READY)
	$(BIN)/ktse demo --out runs/demo

# Coverage is recorded here and judged by `make check`; a failed run leaves no record.
test: $(READY)
	@rm -f .coverage .coverage.*
	$(ONE_THREAD) $(BIN)/python -m pytest --numprocesses auto --dist loadfile \
		--cov --cov-report= --cov-fail-under=0 --durations=10 --durations-min=1 \
		|| { code=$$?; rm -f .coverage; exit $$code; }

.coverage: $(SOURCES)
	$(MAKE) test

check: $(READY) .coverage
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(ONE_THREAD) $(BIN)/python -m pytest --quiet tests/test_structure.py
	$(BIN)/coverage report
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

format: $(READY)
	$(BIN)/ruff check --fix-only --exit-zero .
	$(BIN)/ruff format .

docs: $(READY)
	NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict

# Versions for every supported Python on Linux, macOS and Windows; markers where they differ.
pins: $(READY)
	echo uv | $(BIN)/uv pip compile --universal --python-version 3.11 --all-extras --upgrade \
		--no-header --no-annotate --no-emit-package httpx2-jsfetch --quiet pyproject.toml - -o constraints.txt

clean:
	rm -rf .coverage .coverage.* .mypy_cache .ruff_cache .hypothesis .import_linter_cache site build dist
