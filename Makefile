# Gantry: make builds, make run starts it, make test proves it. Meson and ninja do the work.
BUILD ?= build
SAN := $(BUILD)-san

.PHONY: all san run trial test bench fuzz soak races sbom reproducible format lint clean deps deps-test

all: $(BUILD)/build.ninja
	ninja -C $(BUILD) gantry

$(BUILD)/build.ninja:
	meson setup $(BUILD) --buildtype=release

$(SAN)/build.ninja:
	meson setup $(SAN) --buildtype=debug -Db_sanitize=address,undefined -Db_lundef=false -Dtests=true -Doptimization=1

san: $(SAN)/build.ninja
	ninja -C $(SAN)

deps:
	scripts/install-packages.sh packaging/build.packages

deps-test: deps
	scripts/install-packages.sh packaging/test.packages

run: deps all
	scripts/run-demo.sh $(BUILD)/gantry

# three nodes on this machine, and a look at one dying: docs/deploy/trial.md
trial: deps all
	scripts/install-packages.sh packaging/trial.packages
	scripts/trial.sh --gantry $(BUILD)/gantry

test: deps-test
	tests/run

bench: deps-test all
	tests/bench/run

fuzz: deps-test
	tests/fuzz/run

soak: deps-test
	BUILD=$(BUILD) SAN=$(SAN) tests/system/soak

races: deps-test
	tests/system/tsan

# what the binary is made of, SPDX 2.3
sbom: all
	scripts/sbom.py $(BUILD)/gantry $(BUILD)/gantry.spdx.json

# two builds in two folders are the same, bit for bit; takes some minutes
reproducible: deps
	scripts/reproducible.sh

format:
	git ls-files '*.c' '*.h' '*.cpp' | xargs clang-format -i

lint:
	scripts/lint.sh

clean:
	rm -rf $(BUILD) $(SAN) $(BUILD)-bench $(BUILD)-fuzz $(BUILD)-tsan
