# Everything a person or CI does with this repository. `make` alone explains the targets.
# The local engines are fetched with pinned hashes into .local/ (never at run time); nothing is fetched twice.

SHELL := /bin/bash
.DEFAULT_GOAL := help
.PHONY: help preflight engines engine-kafka build demo evaluate test test-kafka bench bench-guard lint docs audit fuzz ci clean check-cargo check-redis check-chromium check-nginx nab attribution bench-core bench-queries bench-status

CARGO_DENY_VERSION := 0.20.2
CARGO_DENY := .local/tools/bin/cargo-deny
CARGO_FUZZ_VERSION := 0.13.2
CARGO_FUZZ := .local/tools/bin/cargo-fuzz
SECONDS := 60
# What runs a command of ours that needs no release build; a program that is built already may be given instead.
FLOODMARK := cargo run --quiet --locked --

help: ## Explain the targets
	@echo "Usage: make TARGET [ARGS='…']"
	@sed -nE 's/^([a-z-]+):.*## (.*)/  \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

engines: ## Fetch the local ClickHouse, the demo broker and promtool into .local/ (200 MB, once)
	@engines/fetch.sh

engine-kafka: ## Fetch Apache Kafka as well (43 MB, once; needs Java 17 and Maven)
	@engines/fetch.sh kafka

build: check-cargo ## Build the release binary
	cargo build --release --locked

demo: engines build ## Run the demo; ARGS='quiet-day --exit --speed 60' are passed on
	target/release/floodmark demo $(ARGS)

evaluate: build ## Measure recall, precision, delay and false pages on all scenarios; writes docs/evaluation.md; ARGS are passed on
	target/release/floodmark evaluate --report docs/evaluation.md $(ARGS)

test: check-cargo check-redis check-chromium check-nginx engines ## Run all tests against real engines; ARGS are passed to cargo test
	cargo test --locked $(ARGS)

test-kafka: check-cargo engine-kafka ## Run the delivery tests on Apache Kafka, 20 seeds of faults; FLOODMARK_DELIVERY_SEEDS=n
	cargo test --locked --test delivery $(ARGS)

bench: check-cargo engines ## Measure Floodmark beside its peers; FLOODMARK_BENCH_RECORDS=n, _BROKER=demo, _ONLY='floodmark table'
	@for peer in otelcol rsyslog; do benches/peers/build.sh $$peer || echo "floodmark: $$peer is not built and not measured" >&2; done
	cargo bench --locked --profile release --bench ingest

bench-guard: check-cargo engines ## Measure what the guard's proxy adds; FLOODMARK_BENCH_SECONDS=n
	@benches/peers/build.sh chproxy || echo "floodmark: chproxy is not built and not measured" >&2
	cargo bench --locked --profile release --bench guard

bench-core: check-cargo ## Measure the core alone: ns an event, time a window and bytes a subscription; ARGS='1000000' for the larger only
	@cargo bench --locked --profile release --bench core -- $(ARGS)

bench-status: check-cargo engines ## Measure the status page beside a loaded pipeline, and with its engines gone; FLOODMARK_BENCH_SECONDS=n
	@cargo bench --locked --profile release --bench status

bench-queries: check-cargo engines ## Measure every named query on 100 million rows (8 GB of disk); ARGS='10_000_000' for fewer
	cargo build --quiet --locked
	cargo run --quiet --locked --example query_bench -- $(ARGS)

nab: check-cargo ## Score `floodmark detect`; DATA=checkout of numenta/NAB, CLOUD=of microsoft/cloud-monitoring-dataset
	@cargo bench --locked --profile dev --bench nab -- $(if $(DATA),'$(DATA)') $(if $(CLOUD),'$(CLOUD)')

attribution: check-cargo ## Score the attribution of deviations; DATA=folder of real cases, ARGS=--verbose
	cargo run --quiet --release --locked --example attribution -- $(DATA) $(ARGS)

lint: check-cargo ## Formatting and clippy, warnings denied
	cargo fmt --check
	cargo clippy --locked --all-targets -- -D warnings

preflight: check-cargo engines ## Hold the shipped queries to their budgets on seeded data; ARGS='--update' accepts what is measured
	@for folder in named incidents limits series; do \
		$(FLOODMARK) guard preflight queries/$$folder $(ARGS) || exit 1; \
	done

docs: check-cargo ## Build the documentation, warnings denied
	RUSTDOCFLAGS='-D warnings' cargo doc --locked --no-deps --document-private-items

audit: $(CARGO_DENY) ## Check licences, bans and sources of all dependencies, and advisories where reachable
	@CARGO_DENY=$(CARGO_DENY) .ci/audit

fuzz: $(CARGO_FUZZ) ## Fuzz every decoder (nightly compiler); SECONDS=600 each, TARGETS='envoy kong' for some
	@PATH="$(CURDIR)/.local/tools/bin:$$PATH" fuzz/run.sh $(SECONDS) $(TARGETS)

ci: ## What CI runs, on this machine
	.ci/run

clean: ## Remove what was built and fetched
	rm -rf target .local

check-cargo:
	@command -v cargo >/dev/null || { echo "floodmark: 'cargo' is missing: install it from https://rustup.rs" >&2; exit 1; }

$(CARGO_FUZZ): | check-cargo
	cargo +nightly install --locked --root .local/tools --version $(CARGO_FUZZ_VERSION) cargo-fuzz

check-redis:
	@command -v redis-server >/dev/null || { echo "floodmark: 'redis-server' is missing: the tests start one; on Debian 'apt-get install redis-server'" >&2; exit 1; }

check-chromium:
	@command -v chromium >/dev/null || { echo "floodmark: 'chromium' is missing: the tests look at the console with it; on Debian 'apt-get install chromium'" >&2; exit 1; }

check-nginx:
	@command -v nginx >/dev/null || test -x /usr/sbin/nginx || { echo "floodmark: 'nginx' is missing: the tests start one; on Debian 'apt-get install nginx-light'" >&2; exit 1; }

$(CARGO_DENY): | check-cargo
	cargo install --locked --root .local/tools --version $(CARGO_DENY_VERSION) cargo-deny
