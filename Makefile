# `make` lists the targets.

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=

plugins := $(notdir $(wildcard plugins/*))
crates  := $(addprefix delfin-exporter-,$(plugins))
library  = libdelfin_exporter_$(subst -,_,$(1)).so
release := target/release

.PHONY: help build run test check bench install clean

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z]+:.*## / { printf "  make %-8s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build target/release/delfin-host and the plugins in target/plugins
	@scripts/provision build
	$(CARGO) build --release --locked -p delfin-host $(addprefix -p ,$(crates))
	install -d -m 0755 target/plugins
	install -m 0644 $(foreach plugin,$(plugins),$(release)/$(call library,$(plugin))) target/plugins

run: build ## Collect from this machine's disks and deliver to etc/delfin/delfin.conf's exporters
	$(release)/delfin-host run --config etc/delfin/delfin.conf

test: ## Run every test, after installing what they need
	scripts/provision test
	$(CARGO) test --workspace --all-features --locked
	$(CARGO) test --manifest-path tests/abi/Cargo.toml --target-dir target/abi --locked

check: ## Check formatting, lints, documentation and dependencies
	@scripts/provision build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --locked
	scripts/check-dependencies

bench: ## Run the benchmarks
	@scripts/provision test
	$(CARGO) bench --workspace --all-features --locked

install: build ## Install below PREFIX (default /usr/local), with a configuration and a systemd unit
	scripts/install "$(DESTDIR)" "$(PREFIX)"

clean: ## Remove what was built, and the state of `make run`
	$(CARGO) clean
