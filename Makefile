# The two commands of the README, and what a developer needs besides.
#
#   make demo      builds and runs the story with the real programs, in a folder that it removes
#   make test      builds once and runs everything: unit, property and cross-crate tests, the Python implementation, the demo by script
#   make lint      formatting, clippy, documentation, systemd units
#   make bench     figures beside their floors, release build; BENCH=--quick for about a minute, see docs/performance.md
#   make install   puts both programs into $(PREFIX)/bin

SHELL := /bin/bash
PREFIX ?= /usr/local
CARGO ?= cargo
BUILD := target/debug
export CARGO_TERM_COLOR ?= auto

.PHONY: demo test lint units bench install build tools

build: tools
	$(CARGO) build --locked --workspace --all-targets

demo: tools
	$(CARGO) build --locked --workspace --bins
	BIN=$(BUILD) tests/demo.sh

test: build
	$(CARGO) test --locked --workspace
	BIN=$(BUILD) tests/interop.sh
	DEMO_YES=1 BIN=$(BUILD) tests/demo.sh

lint: tools units
	$(CARGO) fmt --all --check
	$(CARGO) clippy --locked --workspace --all-targets -- -D warnings
	RUSTDOCFLAGS="-D warnings" $(CARGO) doc --locked --workspace --no-deps --quiet

bench: tools
	$(CARGO) build --locked --release -p countersign-relay --bin countersign-relay -p countersign-tests --bin bench
	target/release/bench $(BENCH)

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
