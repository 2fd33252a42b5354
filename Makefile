# The front door; CMake presets behind it.

PRESET ?= release
BUILD  := build/$(PRESET)
JOBS   ?= $(shell nproc)

.PHONY: help deps configure build headers test clean

help:
	@echo "make deps      install what is missing (Debian 12)"
	@echo "make build     build/$(PRESET)/bin/{composed,composed-shim,compose}; PRESET=debug|asan|tsan for others"
	@echo "make test      deps, build and every test"

deps:
	@docker/install-deps.sh

$(BUILD)/build.ninja: CMakeLists.txt CMakePresets.json
	cmake --preset $(PRESET)

build: $(BUILD)/build.ninja
	cmake --build --preset $(PRESET) -j $(JOBS)

headers: $(BUILD)/build.ninja
	cmake --build --preset $(PRESET) -j $(JOBS) --target check_headers

test: deps build headers
	ctest --test-dir $(BUILD) --output-on-failure

clean:
	rm -rf $(BUILD)
