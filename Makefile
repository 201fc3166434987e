# `make demo` and `make test` do everything on a machine that has python3, make and a compiler.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
BENCH = .venv-bench
BENCH_INSTALLED = $(BENCH)/.installed
FUZZER = $(VENV)/.installed-fuzzer

# For each target of `make fuzz`.
SECONDS ?= 8

CARRIED = tests/conformance tests/abuse tests/faults tests/e2e/test_relay.py tests/e2e/test_tunnel.py \
	tests/e2e/test_pressure.py tests/e2e/test_faults.py

.PHONY: help demo test soak fuzz fuzz-c bench lint format build clean

help:
	@echo "make demo     the gateway at work, on https://localhost:8889"
	@echo "make test     every test, with all that it needs"
	@echo "make soak     session mode under a fault every 100 ms, in each shape, about 10 minutes; SEED= repeats"
	@echo "make fuzz     coverage-guided fuzzing of all that reads strangers' bytes, 4 to 5 minutes"
	@echo "make fuzz-c   of these, what is written in C, under sanitizers, 1 to 2 minutes"
	@echo "make bench    what a message costs, here and in other gateways, 3 to 4 minutes"
	@echo "make lint     ruff, mypy"
	@echo "make format   ruff's formatter"
	@echo "make build    sdist and wheel, in dist/"
	@echo "make clean    all of this away"

$(INSTALLED): setup.cfg setup.py pyproject.toml orion_twisted/core/_wsframes.c
	@echo "== making $(VENV) with the gateway and its tools (once, about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=")'
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[dev]'
	@touch $@

demo: $(INSTALLED)
	$(BIN)/orion-bridge demo

test: $(INSTALLED)
	@tests/debian-packages
	$(BIN)/python -m pytest --quiet $(TESTS)
ifndef TESTS
	@echo "== what carries messages, once more with performance = portable and stock"
	PERFORMANCE=portable $(BIN)/python -m pytest --quiet $(CARRIED)
	PERFORMANCE=stock $(BIN)/python -m pytest --quiet $(CARRIED)
endif

soak: $(INSTALLED)
	$(BIN)/python -m tests.faults.soak $(if $(SEED),--seed $(SEED)) $(SHAPES)

$(FUZZER): $(INSTALLED)
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[fuzz]'
	@touch $@

fuzz: $(FUZZER)
	$(BIN)/python -m fuzz --seconds $(SECONDS) $(TARGETS)
ifeq ($(TARGETS),)
	@$(MAKE) --no-print-directory fuzz-c
endif

fuzz-c: $(INSTALLED)
	$(BIN)/python -m fuzz.sanitized --seconds $(SECONDS)

$(BENCH_INSTALLED): setup.cfg setup.py orion_twisted/core/_wsframes.c bench/peers/package.json
	@echo "== making $(BENCH) with the gateway and those it is compared with (once, about a minute)"
	@$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[bench]'
	@mkdir -p $(BENCH)/node && cp bench/peers/package.json $(BENCH)/node/
	@npm install --prefix $(BENCH)/node --silent --no-audit --no-fund || echo "== no npm: the bridge on Node is left out"
	@touch $@

bench: $(BENCH_INSTALLED)
	@bench/debian-packages
	$(BENCH)/bin/python bench/run.py --short

lint: $(INSTALLED)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

format: $(INSTALLED)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .

build: $(INSTALLED)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(BENCH) .venv-sslyze build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz _trial_temp* htmlcov .coverage orion_twisted/core/*.so
