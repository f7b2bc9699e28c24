# stpn_swift: `make` lists what there is to make. Needs Swift 6.2, a C compiler and Python 3.11, or later ones.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
endif

VENV := .venv
BUILD := build
KERNEL := $(BUILD)/native/libstpn.a
INCLUDE := Sources/CSTPN/include

# A demo that was interrupted goes on, one that is complete says its results again.
RESUME := $(if $(wildcard runs/retrieval/seed-0/checkpoint.safetensors),--resume)

# What the thorough property tests draw.
SEED ?= 0

# The stacks of threads that wait for work until the process ends are "possibly lost".
LEAKS := --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite

CFLAGS ?= -O1 -g
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Werror
CXX := $(shell command -v c++ || command -v clang++)

BIN := $(VENV)/bin
KERNEL_SOURCES := build_kernel.py $(shell find Sources/STPNKernel Sources/CPlatform Sources/CSTPN -type f \
	-not -path '*/API/*' -not -path '*.docc/*')
PACKAGE_SOURCES := $(KERNEL_SOURCES) $(shell find Sources/CPyBridge python -name '*.[ch]' -o -name '*.py' -o -name '*.pyi') \
	setup.py pyproject.toml
C_TESTS := $(filter-out %/header.c,$(wildcard Tests/c/*.c))
C_SOURCES := $(shell find Sources Tests/c -name '*.[ch]')
SWIFT_SOURCES := Package.swift Sources Tests examples/swift/Package.swift examples/swift/Sources
PYTHON_SOURCES := setup.py build_kernel.py python benchmarks examples Tests

.PHONY: help demo test test-headers test-swift test-c test-python test-thorough \
	docs-swift check check-python check-swift check-c format bench clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '%-16s%s\n' "$$target" "$$text"; done

# What a user runs.

demo: $(VENV)/.demo ## install, and train a network on associative retrieval (ARGS="--help" for its options)
	$(BIN)/python -m stpn_swift.experiments.retrieval $(or $(ARGS),$(RESUME))

test: test-headers test-swift test-c test-python ## everything: header, Swift, C and Python tests

bench: $(VENV)/.bench $(BUILD)/limits ## measure against PyTorch and JAX (ARGS="--json new.json --compare old.json")
	$(BIN)/python -m benchmarks $(ARGS)

$(BUILD)/limits: benchmarks/limits.c
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -march=native $(WARNINGS) -pthread $< -o $@

# Tests.

test-headers: ## stpn.h compiles as C99 and as C++
	$(CC) -std=c99 $(WARNINGS) -I$(INCLUDE) -fsyntax-only Tests/c/header.c
	$(CXX) -std=c++11 $(WARNINGS) -I$(INCLUDE) -fsyntax-only -x c++ Tests/c/header.c

test-swift: ## the Swift package, and a package that depends on it and trains a network
	swift test
	swift run -c release --package-path examples/swift Retrieval

test-c: $(BUILD)/c/test_stpn $(BUILD)/c/cases.txt ## the C interface
	$(BUILD)/c/test_stpn $(BUILD)/c/cases.txt

test-python: $(VENV)/.test $(KERNEL) ## the Python package and the code of the documentation
	$(BIN)/python -m pytest

test-thorough: test $(BUILD)/c/sanitized $(BUILD)/c/cases.txt ## also more random cells, and C under sanitizers and valgrind
	$(BIN)/python -m pytest Tests/python/test_properties.py --hypothesis-profile=thorough --hypothesis-seed=$(SEED)
	$(BUILD)/c/sanitized $(BUILD)/c/cases.txt
	@if command -v valgrind >/dev/null; then \
		valgrind -q --error-exitcode=9 $(LEAKS) $(BUILD)/c/test_stpn $(BUILD)/c/cases.txt; \
	else echo 'valgrind: not installed, left out'; fi

$(KERNEL): $(KERNEL_SOURCES)
	@echo 'building the kernel for every instruction set: this takes a few minutes'
	$(PYTHON) build_kernel.py --output $(@D)

$(BUILD)/c/test_stpn: $(C_TESTS) $(wildcard Tests/c/*.h) $(KERNEL)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CFLAGS) $(WARNINGS) -pthread -I$(INCLUDE) $(C_TESTS) $(KERNEL) -lm -o $@

$(BUILD)/c/sanitized: $(C_TESTS) $(wildcard Tests/c/*.h) $(KERNEL)
	@mkdir -p $(@D)
	$(CC) -std=c11 -O1 -g -fsanitize=address,undefined -fno-sanitize-recover $(WARNINGS) -pthread -I$(INCLUDE) \
		$(C_TESTS) $(KERNEL) -lm -o $@

$(BUILD)/c/cases.txt: Tests/c/make_cases.py $(wildcard Tests/golden/*.npz) | $(VENV)/.test
	$(BIN)/python $< Tests/golden $@

# Documentation.

GRAPHS := $(BUILD)/symbol-graphs

docs-swift: ## the reference of the Swift module, as a site to be served: build/STPNKernel.doccarchive
	@mkdir -p $(GRAPHS)
	swift build --target STPNKernel --scratch-path $(BUILD)/docs-swift -Xswiftc -emit-symbol-graph \
		-Xswiftc -emit-symbol-graph-dir -Xswiftc $(GRAPHS) -Xswiftc -symbol-graph-minimum-access-level -Xswiftc public \
		-Xswiftc -symbol-graph-skip-synthesized-members
	docc convert Sources/STPNKernel/STPNKernel.docc --additional-symbol-graph-dir $(GRAPHS) \
		--fallback-display-name STPNKernel --fallback-bundle-identifier STPNKernel \
		--output-path $(BUILD)/STPNKernel.doccarchive --warnings-as-errors

# Style.

check: check-python check-swift check-c ## formatters and linters find nothing

check-python: $(VENV)/.test
	$(BIN)/ruff format --check $(PYTHON_SOURCES)
	$(BIN)/ruff check $(PYTHON_SOURCES)
	$(BIN)/mypy --strict python/stpn_swift benchmarks

check-swift:
	swift format lint --strict --recursive $(SWIFT_SOURCES)

check-c: $(VENV)/.test
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)

format: $(VENV)/.test ## what formatters can put right
	$(BIN)/ruff format $(PYTHON_SOURCES)
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	swift format --in-place --recursive $(SWIFT_SOURCES)
	$(BIN)/clang-format -i $(C_SOURCES)

# The virtual environment: made once, the package installed anew when its sources change.

$(VENV)/.made:
	@test -n '$(PYTHON)' || { echo 'no Python of 3.11 or later was found: name one with PYTHON=' >&2; exit 1; }
	$(PYTHON) -m venv $(VENV)
	@touch $@

$(VENV)/.demo: $(VENV)/.made $(KERNEL) $(PACKAGE_SOURCES)
	@echo 'installing stpn_swift into $(VENV)'
	$(BIN)/pip install --quiet --disable-pip-version-check '.[experiments]'
	@touch $@

$(VENV)/.test: $(VENV)/.made $(KERNEL) $(PACKAGE_SOURCES)
	@echo 'installing stpn_swift and what its tests need into $(VENV)'
	$(BIN)/pip install --quiet --disable-pip-version-check '.[experiments,test,check]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.made $(KERNEL) $(PACKAGE_SOURCES)
	@echo 'installing stpn_swift and what its benchmarks need into $(VENV)'
	$(BIN)/pip install --quiet --disable-pip-version-check '.[experiments,test,check,bench]'
	@touch $@ $(VENV)/.test $(VENV)/.demo

clean: ## remove all that was built; runs/ stays
	rm -rf $(VENV) $(BUILD) .build examples/swift/.build dist python/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find python benchmarks examples Tests -name __pycache__ -type d -prune -exec rm -rf {} +
