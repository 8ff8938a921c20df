# `make` lists the targets.

CARGO   ?= cargo
PREFIX  ?= /usr/local
DESTDIR ?=
# `make soak` repeats this many times as often as `make test`.
SOAK    ?= 20

conf    := etc/delfin/delfin.conf
# Plugins that are libraries, and plugins that are programs.
plugins := $(patsubst plugins/%/Cargo.toml,%,$(wildcard plugins/*/Cargo.toml))
programs := $(patsubst plugins/%/plugin.toml,%,$(wildcard plugins/*/plugin.toml))
library  = libdelfin_exporter_$(subst -,_,$(1)).so

# $(call compile,PROFILE,PLUGINS,FOLDER) builds the host and these plugins, and copies the plugins'
# libraries and all programs to FOLDER. The modes do not depend on the umask: the host refuses a plugin that other
# users can write.
define compile
$(CARGO) build --profile $(1) --locked -p delfin-host $(addprefix -p delfin-exporter-,$(2))
$(copy)
endef

define copy
chmod 0755 target/$(1)/delfin-host
install -d -m 0755 $(3)
$(if $(2),install -m 0644 $(foreach plugin,$(2),target/$(1)/$(call library,$(plugin))) $(3))
$(foreach program,$(programs),scripts/program-plugin plugins/$(program) $(3) target/delfin
)
endef

.PHONY: help build run test check bench bench-peers sizes soak windows wheel book install uninstall deb rpm dist setup clean build-dist

help: ## List the targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  make %-10s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

build: ## Build target/release/delfin-host and every plugin in target/plugins
	@scripts/setup check build
	$(call compile,release,$(plugins),target/plugins)

# Only the plugins that the configuration names: the others take longer to build than the host.
run: ## Build the host and the plugins that etc/delfin/delfin.conf names, and run it
	@scripts/setup install run
	$(call compile,release,$(shell scripts/named-plugins $(conf)),target/plugins)
	target/release/delfin-host run --config $(conf)

test: ## Run every test, after installing what they need
	@scripts/setup install test
	$(CARGO) test --workspace --all-features --locked
	$(CARGO) test --manifest-path tests/abi/Cargo.toml --target-dir target/abi --locked
	scripts/python test
	scripts/delfin test

check: ## Check formatting, lints, documentation, the book and the rules of tests/invariants
	@scripts/setup install build
	$(CARGO) fmt --all --check
	$(CARGO) clippy --workspace --all-targets --all-features --locked -- -D warnings
	$(CARGO) clippy --workspace --all-features --locked --test windows -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --workspace --all-features --no-deps --locked
	$(CARGO) test --workspace --all-features --locked --test invariants
	scripts/python check
	scripts/delfin check
	@[ ! -e target/windows/toolchain/done ] || scripts/windows check
	scripts/book build

bench: ## Run the benchmarks, in the profile that `make install` uses; BEFORE=FILE compares with an earlier run
	@scripts/setup install test
	scripts/benchmarks --output target/bench/benchmarks.json $(if $(BEFORE),--before $(BEFORE))
	scripts/python bench

bench-peers: ## Compare the host with the programs that bench/peers installs; BEFORE=FILE as above
	@scripts/setup check build
	$(call compile,dist,webhook,target/bench/plugins)
	$(CARGO) run --profile dist --locked -p delfin-bench -- --output target/bench/peers.json $(if $(BEFORE),--before $(BEFORE))

sizes: ## Measure the build time and the size of the host and of each plugin
	scripts/build-times

soak: windows ## Run the randomized tests at length: SOAK=20 times as many rounds and cases; and `make windows`
	@scripts/setup install test
	DELFIN_TEST_SOAK=$(SOAK) $(CARGO) test --workspace --all-features --locked \
		--lib --test api --test cluster --test ingest --test kill --test moves --test openapi --test proof

windows: ## Build the host and the plugins for Windows, and test them with Wine (as root on Debian)
	scripts/windows setup
	scripts/windows build
	scripts/windows archive
	scripts/windows test

# Each plugin by itself: Cargo optimises a library at link time only if it is a cdylib and nothing
# else, and plugins are rlibs too, for their tests and benchmarks.
build-dist:
	@scripts/setup check build
	$(CARGO) build --profile dist --locked -p delfin-host
	set -e; for plugin in $(plugins); do \
		$(CARGO) rustc --profile dist --locked --lib --crate-type cdylib -p delfin-exporter-$$plugin; \
	done
	$(call copy,dist,$(plugins),target/dist/plugins)

install: build-dist wheel ## Install below PREFIX (default /usr/local), with a configuration and a systemd unit
	scripts/install target/dist "$(DESTDIR)" "$(PREFIX)"

uninstall: ## Remove what `make install` installed; the configuration and the state stay
	scripts/install --remove "$(DESTDIR)" "$(PREFIX)"

deb: build-dist wheel ## Build a Debian package in target/package
	scripts/deb target/dist target/package

rpm: build-dist wheel ## Build an RPM package in target/package
	scripts/rpm target/dist target/package

dist: build-dist wheel ## Build an archive for other systems in target/package
	scripts/dist target/dist target/package

wheel: ## Build the wheels of the Python packages in target/wheel
	scripts/python wheel
	scripts/delfin wheel

book: ## Build the two guides in target/book, and check their links
	scripts/book build

setup: ## Install what the build and the tests need (as root on Debian)
	scripts/setup install test

clean: ## Remove what was built, and the state of `make run`
	$(CARGO) clean
