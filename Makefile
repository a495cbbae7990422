# The two commands of the README, and what a developer needs besides.
#
#   make demo      builds and runs the story with the real programs, in a folder that it removes
#   make test      builds once and runs everything: unit, property and cross-crate tests, the Python implementation, the model, the demo by script
#   make simulation  both programs in a simulated network, SEEDS=200 seeds from FIRST=0 on, see ARCHITECTURE.md; `make test` plays a few
#   make lint      formatting, clippy, documentation, systemd units
#   make model     the model of the join in full, see docs/model/README.md; `make test` checks a smaller one
#   make bench     figures beside their floors, release build; BENCH=--quick for about a minute, see docs/performance.md
#   make fuzz      each fuzz target for FUZZ_SECONDS (60), see ARCHITECTURE.md; needs rustup and a nightly toolchain
#   make install   puts both programs into $(PREFIX)/bin

SHELL := /bin/bash
PREFIX ?= /usr/local
CARGO ?= cargo
BUILD := target/debug
FUZZ_SECONDS ?= 60
FUZZ_TARGETS ?= decoders conversation relay
CARGO_FUZZ := 0.13.2
SEEDS ?= 200
FIRST ?= 0
# Built apart, and last: what has this feature runs in a simulated network alone.
SIMULATION := $(CARGO) test --locked -p countersign-tests --features simulation --test simulation
export CARGO_TERM_COLOR ?= auto

.PHONY: demo test simulation lint units model bench fuzz install build tools

build: tools
	$(CARGO) build --locked --workspace --all-targets

demo: tools
	$(CARGO) build --locked --workspace --bins
	BIN=$(BUILD) tests/demo.sh

test: build
	@tests/tools.sh spin
	$(CARGO) test --locked --workspace
	BIN=$(BUILD) tests/interop.sh
	docs/model/check.sh --quick
	DEMO_YES=1 BIN=$(BUILD) tests/demo.sh
	$(SIMULATION)

simulation: tools
	COUNTERSIGN_SEEDS=$(SEEDS) COUNTERSIGN_FIRST_SEED=$(FIRST) $(SIMULATION) -- --nocapture

lint: tools units
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	$(CARGO) clippy --locked -p countersign-tests --features simulation --test simulation -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

model: tools
	@tests/tools.sh spin
	docs/model/check.sh

bench: tools
	$(CARGO) build --locked --release -p countersign-relay --bin countersign-relay -p countersign-tests --bin bench
	target/release/bench $(BENCH)

# Inputs that reach something new are kept in fuzz/found, and the next run begins with them. One that breaks a promise ends the run;
# it lies where the last lines say. Once mended, it belongs into fuzz/corpus under a telling name, which `make test` replays.
fuzz: tools
	@rustup run nightly rustc --version >/dev/null 2>&1 || \
	  { echo "no nightly toolchain: cargo-fuzz needs one. Install it with:  rustup toolchain install nightly --profile minimal" >&2; exit 2; }
	@[ "$$($(CARGO) fuzz --version 2>/dev/null)" = "cargo-fuzz $(CARGO_FUZZ)" ] || $(CARGO) install --locked cargo-fuzz --version $(CARGO_FUZZ)
	for target in $(FUZZ_TARGETS); do \
	  mkdir -p fuzz/found/$$target && \
	  rustup run nightly cargo fuzz run $$target fuzz/found/$$target fuzz/corpus/$$target -- \
	    -max_total_time=$(FUZZ_SECONDS) -rss_limit_mb=4096 -timeout=60 -print_final_stats=1 || exit 1; \
	done

units: tools
	$(CARGO) build --locked --workspace --bins
	BIN=$(BUILD) deploy/systemd/check.sh

install: tools
	$(CARGO) build --locked --release -p countersign-relay -p countersign
	install -D -m 755 target/release/countersign-relay $(DESTDIR)$(PREFIX)/bin/countersign-relay
	install -D -m 755 target/release/countersign $(DESTDIR)$(PREFIX)/bin/countersign

# Everything that is not a crate: a C compiler for SQLite, the TLS library and the test shim.
tools:
	@tests/tools.sh
