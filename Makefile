# stpn_swift: `make` lists what there is to make. Needs Swift 6.2, a C compiler and Python 3.11, or later ones.

ifndef PYTHON
PYTHON := $(shell for python in python3 python3.14 python3.13 python3.12 python3.11; do \
	$$python -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null && echo $$python && break; done)
ifeq ($(PYTHON),)
PYTHON = $(error no Python of 3.11 or later was found: name one with PYTHON=)
endif
endif

VENV := .venv
BUILD := build
KERNEL := $(BUILD)/native/libstpn.a
INCLUDE := Sources/CSTPN/include
export PREFIX ?= /usr/local
export LIBDIR ?= lib
export DESTDIR ?=
# By the environment: a prefix may have spaces and quotes.
INSTALL = $(PYTHON) install_library.py --prefix "$$PREFIX" --libdir "$$LIBDIR" --destdir "$$DESTDIR"

# A demo that was interrupted goes on, one that is complete says its results again.
RESUME := $(if $(wildcard runs/retrieval/stpnr/seed-0/config.json),--resume)

# What the thorough tests draw, and for how long the fuzzer does.
SEED ?= 0
FUZZ_SECONDS ?= 60

# The stacks of threads that wait for work until the process ends are "possibly lost".
LEAKS := --leak-check=full --show-leak-kinds=definite --errors-for-leak-kinds=definite

CFLAGS ?= -O1 -g
SANITIZE := -O1 -g -fsanitize=address,undefined -fno-sanitize-recover
WARNINGS := -Wall -Wextra -Wpedantic -Wconversion -Werror
CXX := $(shell command -v c++ || command -v clang++)
LIBASAN := $(wildcard $(shell $(CC) -print-file-name=libasan.so))

# The clang of the Swift toolchain: its fuzzer and sanitizers are those that Swift compiles for.
CLANG = $(dir $(realpath $(shell command -v swiftc)))clang

BIN := $(VENV)/bin
KERNEL_SOURCES := build_kernel.py $(shell find Sources/STPNKernel Sources/CPlatform Sources/CSTPN -type f \
	-not -path '*/API/*' -not -path '*.docc/*')
PACKAGE_SOURCES := $(KERNEL_SOURCES) $(shell find Sources/CPyBridge python -name '*.[ch]' -o -name '*.cpp' -o -name '*.py' -o -name '*.pyi') \
	setup.py pyproject.toml
C_TESTS := $(filter-out $(addprefix %/,header.c abi.c fuzz.c),$(wildcard Tests/c/*.c))
C_SOURCES := $(shell find Sources Tests/c python/stpn_swift/jax/ffi.cpp examples benchmarks -not -path '*/.build/*' -name '*.[ch]' -o -name '*.cpp')
KERNEL_SWIFT := $(shell find Sources/STPNKernel -name '*.swift')
SWIFT_SOURCES := Package.swift Sources Tests examples/swift/Package.swift examples/swift/Sources
PYTHON_SOURCES := setup.py build_kernel.py install_library.py python benchmarks examples Tests

.PHONY: help demo library install uninstall abi test test-headers test-swift test-c test-python test-fuzz run-fuzz test-bridge \
	test-wheel test-sdist test-static test-swift-package test-thorough wheel docs docs-swift check check-python check-swift \
	check-c format bench clean
.DELETE_ON_ERROR:

help: ## this list
	@sed -n 's/^\([a-z-]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | while IFS="$$(printf '\t')" read -r target text; do \
		printf '%-16s%s\n' "$$target" "$$text"; done

# What a user runs.

demo: $(VENV)/.demo ## install, and train a network on associative retrieval (ARGS="--help" for its options)
	$(BIN)/stpn train retrieval $(or $(ARGS),$(RESUME))

library: $(KERNEL) ## libstpn, shared and static, to be installed; make install does it too, where Swift is
	$(PYTHON) install_library.py --build-only

install: $(KERNEL) ## libstpn, stpn.h, and what pkg-config and CMake read (PREFIX=/usr/local LIBDIR=lib DESTDIR=)
	$(INSTALL)

uninstall: ## remove what make install has installed to the same PREFIX, LIBDIR and DESTDIR
	$(INSTALL) --uninstall

test: test-headers test-swift test-c test-python ## everything: header, Swift, C and Python tests

bench: $(VENV)/.bench $(BUILD)/limits ## measure against PyTorch and JAX (ARGS="--json new.json --compare old.json")
	$(BIN)/python -m benchmarks $(ARGS)

wheel: $(VENV)/.package ## one wheel for every CPython from 3.11 on, in dist/
	rm -rf $(BUILD)/wheel $(BUILD)/lib.*
	$(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(BUILD)/wheel .
	@mkdir -p dist
	rm -f dist/*.whl
	if [ "$$(uname)" = Linux ]; then PATH="$(CURDIR)/$(BIN):$$PATH" auditwheel repair --zip-compression-level 9 --wheel-dir dist $(BUILD)/wheel/*.whl; \
	else cp $(BUILD)/wheel/*.whl dist; fi

docs: $(VENV)/.package ## the reference of the Python package from its docstrings, in build/docs
	$(BIN)/pdoc --docformat numpy --output-directory $(BUILD)/docs \
		stpn_swift stpn_swift.torch stpn_swift.jax stpn_swift.autograd stpn_swift.experiments

$(BUILD)/limits $(BUILD)/adjoint_loop: $(BUILD)/%: benchmarks/%.c benchmarks/vectors.h
	@mkdir -p $(@D)
	$(CC) -std=gnu11 -O2 -march=native $(WARNINGS) -pthread $< -o $@

# Tests.

test-headers: ## stpn.h compiles as C99 and as C++
	$(CC) -std=c99 $(WARNINGS) -I$(INCLUDE) -fsyntax-only Tests/c/header.c
	$(CXX) -std=c++11 $(WARNINGS) -I$(INCLUDE) -fsyntax-only -x c++ Tests/c/header.c

test-swift: ## the Swift package, and a package that depends on it and trains a network
	swift test
	swift run -c release --package-path examples/swift Retrieval

test-c: $(BUILD)/c/test_stpn $(BUILD)/c/cases.txt $(BUILD)/c/abi ## the C interface
	$(BUILD)/c/test_stpn $(BUILD)/c/cases.txt
	$(BUILD)/c/abi | diff Tests/c/abi.txt -

abi: $(BUILD)/c/abi ## write the list of the C ABI anew, after a change that docs/c.md allows
	$(BUILD)/c/abi > Tests/c/abi.txt

test-python: $(VENV)/.test $(KERNEL) ## the Python package and the code of the documentation
	$(BIN)/python -m pytest

test-fuzz: ## the C interface called at random for FUZZ_SECONDS, under sanitizers
	@if echo 'int LLVMFuzzerTestOneInput(void) { return 0; }' | \
		$(CLANG) -fsanitize=fuzzer,address,undefined -fuse-ld=lld -x c - -o /dev/null 2>/dev/null; \
	then $(MAKE) --no-print-directory run-fuzz; \
	else echo 'libFuzzer: not in the Swift toolchain, fuzzing is left out'; fi

run-fuzz: $(BUILD)/fuzz/fuzz
	@mkdir -p $(BUILD)/fuzz/corpus
	@echo 'fuzzing for $(FUZZ_SECONDS) seconds'
	@$< -max_total_time=$(FUZZ_SECONDS) -seed=$(SEED) -max_len=512 -len_control=0 -verbosity=0 -print_final_stats=1 \
		-artifact_prefix=$(BUILD)/fuzz/ $(BUILD)/fuzz/corpus > $(BUILD)/fuzz/log 2>&1 || { cat $(BUILD)/fuzz/log; exit 1; }
	@grep number_of_executed_units $(BUILD)/fuzz/log

ifneq ($(LIBASAN),)
test-bridge: $(VENV)/.test $(BUILD)/sanitized/stpn_swift/_kernel.abi3.so ## the Python extension under sanitizers
	PYTHONPATH=$(BUILD)/sanitized LD_PRELOAD=$(LIBASAN) ASAN_OPTIONS=detect_leaks=0:allocator_may_return_null=1 \
		$(BIN)/python -m pytest $(addprefix Tests/python/test_,errors.py api.py threads.py)
else
test-bridge:
	@echo 'libasan: $(CC) has none, the Python extension under sanitizers is left out'
endif

test-swift-package: $(KERNEL) ## the Swift package as a dependency by version, in the ways of docs/swift.md
	$(PYTHON) Tests/try_swift_package.py

test-thorough: test test-fuzz test-bridge test-wheel test-sdist test-static test-swift-package docs docs-swift $(BUILD)/c/sanitized $(BUILD)/c/cases.txt ## also more random cells, every Python, fuzzing, sanitizers, valgrind
	$(BIN)/python -m pytest Tests/python/test_threads.py -k for_a_while --stress-seconds=60
	$(BIN)/python -m pytest Tests/python/test_properties.py --hypothesis-profile=thorough --hypothesis-seed=$(SEED)
	$(BUILD)/c/sanitized $(BUILD)/c/cases.txt
	@if command -v valgrind >/dev/null; then \
		valgrind -q --error-exitcode=9 $(LEAKS) $(BUILD)/c/test_stpn $(BUILD)/c/cases.txt; \
	else echo 'valgrind: not installed, left out'; fi

test-wheel: wheel ## the wheel with every Python that is here, and without Swift; it has 1 MB at most, by pip alone too
	@for wheel in $(BUILD)/wheel/*.whl dist/*.whl; do wc -c "$$wheel"; test $$(wc -c < "$$wheel") -le 1000000 || exit 1; done
	$(BIN)/python Tests/try_wheel.py dist/*.whl

test-sdist: wheel ## the source distribution builds the same wheel
	rm -rf $(BUILD)/sdist
	$(BIN)/python -m build --sdist --outdir $(BUILD)/sdist
	$(BIN)/pip wheel --disable-pip-version-check --no-deps --wheel-dir $(BUILD)/sdist $(BUILD)/sdist/*.tar.gz
	$(BIN)/python -m zipfile -e $(BUILD)/wheel/*.whl $(BUILD)/sdist/of-the-tree
	$(BIN)/python -m zipfile -e $(BUILD)/sdist/*.whl $(BUILD)/sdist/of-the-sdist
	diff -r $(BUILD)/sdist/of-the-tree $(BUILD)/sdist/of-the-sdist

test-static: $(VENV)/.package ## the build with the Swift runtime inside, for toolchains without Embedded Swift
	rm -rf $(BUILD)/static
	STPN_KERNEL_BUILD=static $(BIN)/pip wheel --quiet --disable-pip-version-check --no-deps --wheel-dir $(BUILD)/static .
	$(BIN)/python Tests/try_wheel.py $(BUILD)/static/*.whl --folder $(BUILD)/static --python $(BIN)/python

$(KERNEL): $(KERNEL_SOURCES)
	@echo 'building the kernel for every instruction set: this takes a few minutes'
	$(PYTHON) build_kernel.py --output $(@D)

$(BUILD)/c/test_stpn: $(C_TESTS) $(wildcard Tests/c/*.h) $(KERNEL)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CFLAGS) $(WARNINGS) -pthread -I$(INCLUDE) $(C_TESTS) $(KERNEL) -lm -o $@

$(BUILD)/c/abi: Tests/c/abi.c $(KERNEL)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(CFLAGS) $(WARNINGS) -pthread -I$(INCLUDE) $< $(KERNEL) -lm -o $@

$(BUILD)/c/sanitized: $(C_TESTS) $(wildcard Tests/c/*.h) $(KERNEL)
	@mkdir -p $(@D)
	$(CC) -std=c11 $(SANITIZE) $(WARNINGS) -pthread -I$(INCLUDE) \
		$(C_TESTS) $(KERNEL) -lm -o $@

# The kernel itself under AddressSanitizer, and telling the fuzzer which way a call went.
$(BUILD)/fuzz/kernel.o: $(KERNEL_SOURCES)
	@mkdir -p $(@D)
	@echo 'building the kernel for the fuzzer: this takes a few minutes'
	swiftc -O -wmo -parse-as-library -swift-version 6 -module-name STPNKernel -sanitize=address,fuzzer \
		-enable-experimental-feature Embedded -Xcc -fno-math-errno -I$(INCLUDE) -ISources/CPlatform/include \
		-c $(filter %.swift,$^) -o $@

$(BUILD)/fuzz/fuzz: Tests/c/fuzz.c $(wildcard Sources/CPlatform/*.c) $(BUILD)/fuzz/kernel.o
	$(CLANG) -std=c11 $(SANITIZE) -fsanitize=fuzzer -fuse-ld=lld $(WARNINGS) -pthread -I$(INCLUDE) \
		-ISources/CPlatform/include $^ -lm -o $@

$(BUILD)/sanitized/stpn_swift/_kernel.abi3.so: $(PACKAGE_SOURCES) $(KERNEL)
	rm -rf $(BUILD)/sanitized && mkdir -p $(BUILD)/sanitized && cp -R python/stpn_swift $(BUILD)/sanitized
	$(CC) -shared -fPIC -std=c11 $(SANITIZE) $(filter-out -Wpedantic,$(WARNINGS)) -DPy_LIMITED_API=0x030B0000 -I$(INCLUDE) \
		-I$$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') \
		Sources/CPyBridge/*.c $(KERNEL) -lm -pthread -o $@

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
	$(BIN)/mypy --strict build_kernel.py install_library.py Tests/python Tests/try_wheel.py Tests/try_swift_package.py

# As the package, and as the kernel is compiled, so far that all warnings come.
SWIFT_WARNINGS := swiftc -emit-sil -wmo -warnings-as-errors -swift-version 6 -parse-as-library -module-name STPNKernel \
	-I$(INCLUDE) -ISources/CPlatform/include -o /dev/null

check-swift:
	swift format lint --strict --recursive $(SWIFT_SOURCES)
	$(SWIFT_WARNINGS) $(KERNEL_SWIFT)
	$(SWIFT_WARNINGS) -enable-experimental-feature Embedded $(filter-out Sources/STPNKernel/API/%,$(KERNEL_SWIFT))

# Python's interface converts functions to void pointers, which ISO C does not know.
check-c: $(VENV)/.test
	$(BIN)/clang-format --dry-run --Werror $(C_SOURCES)
	$(CC) -std=c11 -fsyntax-only $(WARNINGS) -I$(INCLUDE) -ISources/CPlatform/include Sources/CPlatform/*.c
	$(CC) -std=c11 -fsyntax-only $(WARNINGS) -Wno-pedantic -DPy_LIMITED_API=0x030B0000 -I$(INCLUDE) \
		-isystem $$($(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("include"))') Sources/CPyBridge/*.c

format: $(VENV)/.test ## what formatters can put right
	$(BIN)/ruff format $(PYTHON_SOURCES)
	$(BIN)/ruff check --fix $(PYTHON_SOURCES)
	swift format --in-place --recursive $(SWIFT_SOURCES)
	$(BIN)/clang-format -i $(C_SOURCES)

# The virtual environment: made once, the package installed anew when its sources change.

$(VENV)/.made:
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

$(VENV)/.package: $(VENV)/.made $(KERNEL) $(PACKAGE_SOURCES)
	@echo 'installing stpn_swift and what makes wheels and pages into $(VENV)'
	$(BIN)/pip install --quiet --disable-pip-version-check '.[experiments,torch,jax,autograd,package]'
	@touch $@ $(VENV)/.demo

$(VENV)/.bench: $(VENV)/.made $(KERNEL) $(PACKAGE_SOURCES)
	@echo 'installing stpn_swift and what its benchmarks need into $(VENV)'
	$(BIN)/pip install --quiet --disable-pip-version-check '.[experiments,test,check,bench]'
	-$(BIN)/python -m stpn_swift.jax.build
	@touch $@ $(VENV)/.test $(VENV)/.demo

clean: ## remove all that was built; runs/ stays
	rm -rf $(VENV) $(BUILD) .build examples/swift/.build dist python/*.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis
	find python benchmarks examples Tests -name __pycache__ -type d -prune -exec rm -rf {} +
