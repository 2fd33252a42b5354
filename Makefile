# The front door; CMake presets behind it.

PRESET ?= release
BUILD  := build/$(PRESET)
JOBS   ?= $(shell nproc)
# `make run` keeps to itself: a daemon with its own instance name and folders.
RUN_FOLDER ?= /tmp/composed-run

.PHONY: help deps build rebuild format check-format tidy headers run stop fuzz test test-reboot bench install clean

help:
	@echo "make deps      install what is missing (Debian 12)"
	@echo "make build     $(BUILD)/bin/{composed,composed-shim,compose}; PRESET=debug|asan|tsan for others"
	@echo "make run       deps, build, start composed, bring examples/hello up and fetch its page"
	@echo "make stop      take what 'make run' started down again"
	@echo "make test      deps, build and every test"
	@echo "make test-reboot  the tests in virtual machines alone: real boots, power cuts, systemd, cgroup v1 and v2"
	@echo "make fuzz      a minute of libFuzzer for each reader of what others write: Compose files, layers, registries, DNS, HTTP"
	@echo "make format    lay the sources out by .clang-format;  make tidy   clang-tidy over all of them"
	@echo "make bench     deps, build and fifty services, a large pull and large files, against dockerd in the same run; recovery, life"
	@echo "make install   to /usr/local (DESTDIR and PREFIX are honoured)"

deps:
	@docker/install-deps.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset $(PRESET)

build: $(BUILD)/build.ninja
	@start=$$(date +%s); cmake --build --preset $(PRESET) -j $(JOBS) && echo "build took $$(($$(date +%s) - start)) s (asked of a clean one: at most 480 s)"

# What an edit costs: one .cpp in the middle compiled without ccache, and the programs linked anew.
rebuild: build
	@touch engine/project/plan.cpp; start=$$(date +%s%N); CCACHE_DISABLE=1 cmake --build --preset $(PRESET) -j $(JOBS) >/dev/null \
	    && echo "rebuild after touching one .cpp took $$((($$(date +%s%N) - start) / 1000000)) ms (asked: at most 20 s)"

format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format -i

check-format:
	@git ls-files '*.cpp' '*.hpp' | xargs clang-format --dry-run --Werror

tidy: build
	docker/tidy.sh $(BUILD)

headers: $(BUILD)/build.ninja
	cmake --build --preset $(PRESET) -j $(JOBS) --target check_headers

run: deps build
	@docker/run-example.sh $(BUILD)/bin $(RUN_FOLDER)

stop:
	@docker/run-example.sh $(BUILD)/bin $(RUN_FOLDER) stop

# Bytes from anybody, with clang's libFuzzer; FUZZ_SECONDS for each target.
fuzz: deps
	@cmake --preset fuzz >/dev/null && cmake --build --preset fuzz -j $(JOBS)
	tests/fuzz/run.sh build/fuzz/bin

test: deps check-format build rebuild headers fuzz
	ctest --test-dir $(BUILD) --output-on-failure

test-reboot: deps build
	ctest --test-dir $(BUILD) --output-on-failure --verbose -L reboot

bench: deps build
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/stack_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/pull_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/volume_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/network_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/config_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/recovery_bench.py
	COMPOSED_BIN=$(abspath $(BUILD)/bin) python3 tests/bench/life_bench.py

PREFIX ?= /usr/local
install: build
	install -D -t $(DESTDIR)$(PREFIX)/bin $(BUILD)/bin/composed $(BUILD)/bin/composed-shim $(BUILD)/bin/compose
	install -D -m 644 -t $(DESTDIR)/lib/systemd/system docker/composed.service docker/composed.socket

clean:
	rm -rf $(BUILD)
