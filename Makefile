# `make demo` and `make test` do everything on a machine that has python3, make and a compiler.

PYTHON ?= python3
VENV ?= .venv
BIN = $(VENV)/bin
INSTALLED = $(VENV)/.installed
BENCH = .venv-bench
BENCH_INSTALLED = $(BENCH)/.installed
FUZZER = $(VENV)/.installed-fuzzer
C_SOURCES = $(wildcard orion_twisted/core/wsframes_c/*.[ch] orion_twisted/net/pump_c/*.[ch])

# npm's, which empties it before it installs: what is in it is whole or not there.
FRONTEND = frontend/node_modules/.installed
FRONTEND_SOURCES := $(shell find frontend \( -name node_modules -o -name dist -o -name test \) -prune -o -type f -print 2>/dev/null)
PAGES = orion_twisted/demo/pages/index.html
# The machine's npm, or the one that $(NODE) has put into $(VENV).
NODE = $(VENV)/.node
NPM = PATH="$(abspath $(BIN)):$$PATH" npm --prefix frontend --no-audit --no-fund --no-update-notifier

# For each target of `make fuzz`.
SECONDS ?= 8

CARRIED = tests/conformance tests/abuse tests/faults tests/e2e/test_relay.py tests/e2e/test_tunnel.py \
	tests/e2e/test_pressure.py tests/e2e/test_faults.py

.PHONY: help demo pages test test-frontend soak fuzz fuzz-c bench lint format build clean

help:
	@echo "make demo     the gateway at work: a shop with a Web Editor in its page, on https://shop.localhost:8891"
	@echo "make pages    the Web Editor, built, if its sources are newer"
	@echo "make test     every test, with all that it needs"
	@echo "make soak     session mode under a fault every 100 ms, in each shape, about 10 minutes; SEED= repeats"
	@echo "make fuzz     coverage-guided fuzzing of all that reads strangers' bytes, 4 to 5 minutes"
	@echo "make fuzz-c   of these, what is written in C, under sanitizers, 1 to 2 minutes"
	@echo "make bench    what a message costs, here and in other gateways, 3 to 4 minutes"
	@echo "make lint     ruff, mypy; biome, tsc"
	@echo "make format   ruff's and biome's formatters"
	@echo "make build    the Web Editor, then sdist and wheel with it, in dist/"
	@echo "make clean    all of this away"

$(INSTALLED): setup.cfg setup.py pyproject.toml $(C_SOURCES)
	@echo "== making $(VENV) with the gateway and its tools (once, about a minute)"
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11) and "Python 3.11 or newer is needed; name it with PYTHON=")'
	@$(PYTHON) -m venv $(VENV) || { echo "no venv module; on Debian: apt-get install python3-venv"; exit 1; }
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[dev]'
	@touch $@

# Vite 8 wants Node 20.19, 22.12 or later.
$(NODE): $(INSTALLED)
	@node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a == 22 && b >= 12) || (a == 20 && b >= 19) ? 0 : 1)' 2>/dev/null && npm --version >/dev/null 2>&1 || \
	{ echo "== no npm here that is new enough: taking Node from PyPI into $(VENV)"; \
	$(BIN)/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[node]'; }
	@touch $@

$(FRONTEND): frontend/package-lock.json frontend/package.json frontend/client/package.json frontend/editor/package.json | $(NODE)
	@echo "== the front end: npm ci"
	@$(NPM) ci --silent
	@touch $@

# The gateway sends what lies compressed beside a file, if it is not older.
$(PAGES): $(FRONTEND) $(FRONTEND_SOURCES)
	@echo "== the front end: build"
	@$(NPM) run build --silent
	@find $(@D) -type f \( -name '*.js' -o -name '*.css' -o -name '*.html' -o -name '*.svg' \) -exec gzip -9 -k -n -f {} +

pages: $(PAGES)

demo: $(INSTALLED) $(PAGES)
	$(BIN)/orion-bridge demo

test-frontend: $(FRONTEND) $(PAGES)
	@echo "== the front end: vitest"
	@$(NPM) test

test: $(INSTALLED)
	@tests/debian-packages
ifndef TESTS
	@$(MAKE) --no-print-directory test-frontend
	@echo "== pytest"
endif
	$(BIN)/python -m pytest --quiet $(TESTS)
	@[ ! -d screenshots ] || echo "== what Chromium has shown is in screenshots/"
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

$(BENCH_INSTALLED): setup.cfg setup.py $(C_SOURCES) bench/peers/package.json
	@echo "== making $(BENCH) with the gateway and those it is compared with (once, about a minute)"
	@$(PYTHON) -m venv $(BENCH)
	$(BENCH)/bin/pip install --quiet --disable-pip-version-check --config-settings editable_mode=compat --editable '.[bench]'
	@mkdir -p $(BENCH)/node && cp bench/peers/package.json $(BENCH)/node/
	@npm install --prefix $(BENCH)/node --silent --no-audit --no-fund || echo "== no npm: the bridge on Node is left out"
	@touch $@

bench: $(BENCH_INSTALLED)
	@bench/debian-packages
	$(BENCH)/bin/python bench/run.py --short

lint: $(INSTALLED) $(FRONTEND)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	@echo "== the front end: lint"
	@$(NPM) run lint

format: $(INSTALLED) $(FRONTEND)
	$(BIN)/ruff format .
	$(BIN)/ruff check --fix .
	@$(NPM) run format

build: $(INSTALLED) $(PAGES)
	$(BIN)/python -m build

clean:
	rm -rf $(VENV) $(BENCH) .venv-sslyze build dist *.egg-info .pytest_cache .mypy_cache .ruff_cache .hypothesis .fuzz _trial_temp* htmlcov .coverage screenshots orion_twisted/core/*.so orion_twisted/net/*.so \
		orion_twisted/demo/pages frontend/node_modules frontend/*/node_modules frontend/*/dist
