# Every command of the project stands here; `make` alone lists them.

SHELL := /bin/bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

VERSION := $(shell sed -n 's/^version = "\(.*\)"/\1/p' Cargo.toml | head -n 1)
IMAGE ?= taskbatch/taskbatch:$(VERSION)
CRD := taskbatches.taskbatch.dev.yaml

# Frameworks without devices are enough: only how workers find each other is tried.
PYTHON := target/frameworks/bin/python

.PHONY: help build test test-long test-frameworks lint fmt demo tools cluster crds picture image e2e kind bench bench-cluster

help: ## List these commands
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1\t\2/p' $(MAKEFILE_LIST) | expand -t 16

build: ## Build the program: target/release/taskbatch
	cargo build --release --locked

test: tools ## Run every test; does all set-up itself
	cargo check --lib --no-default-features --locked
	cargo test --locked --no-fail-fast

test-long: tools ## Try plans, fixes and faults on a million seeds, requests on ten million, 10,000 crashes
	TASKBATCH_CASES=$${TASKBATCH_CASES:-1000000} cargo test --release --lib --no-default-features --locked -- hostile remedy compiled_problems
	TASKBATCH_CASES=$${TASKBATCH_CASES:-1000000} cargo test --release --test oracle --no-default-features --locked -- --nocapture
	SIM_SEEDS=$${SIM_SEEDS:-1000000} cargo test --release --lib --no-default-features --locked -- sim::fault_tests
	TASKBATCH_CRASHES=$${TASKBATCH_CRASHES:-10000} TASKBATCH_MIXES=$${TASKBATCH_MIXES:-5000} cargo test --locked --test cluster -- crash_tests

test-frameworks: tools ## Let gangs of real JAX and PyTorch processes add up, with the environment of the pods
	[ -x $(PYTHON) ] || python3 -m venv target/frameworks
	$(PYTHON) -m pip install --quiet jax torch
	TASKBATCH_PYTHON=$(abspath $(PYTHON)) cargo test --locked --test cluster -- the_workers_of_each_framework

lint: ## Check format, lints and the chart
	cargo fmt --check
	cargo clippy --all-targets --locked -- -D warnings
	if command -v helm >/dev/null; then helm lint --strict charts/taskbatch; fi

fmt: ## Format the source
	cargo fmt

demo: ## Plan and run an example batch on a simulated cluster
	cargo run --release --locked -- demo

tools: ## Build the programs of a real control plane for the tests, once
	tests/cluster/build.sh

cluster: tools ## Start a real control plane, simulated nodes and the operator, until Ctrl-C
	cargo test --locked --test cluster -- serve

# Written beside its place first, so that a failed run does not leave an empty file.
crds: ## Write the CRD, and the copy in the chart, from the Rust types
	mkdir -p crds
	cargo run --locked -- crd >crds/$(CRD).new
	mv crds/$(CRD).new crds/$(CRD)
	cp crds/$(CRD) charts/taskbatch/files/$(CRD)

picture: ## Draw the picture of the README
	cargo run --locked -- plan -f examples/demo.yaml --nodes examples/demo-nodes.yaml --iterations 100000 -o svg >examples/plan.svg || [ $$? -eq 3 ]

image: ## Build the container image
	docker build --tag $(IMAGE) .

e2e: tools ## Run image, chart, operator and batches on a real node; needs root
	image=$$PWD/target/e2e-image.tar; \
	if tests/e2e/image.sh $$image; then export TASKBATCH_IMAGE=$$image; fi; \
	TASKBATCH_E2E=required cargo test --locked --test e2e

kind: ## The same in a new kind cluster, which is deleted at the end unless KEEP=1
	tests/e2e/kind.sh

bench: ## Run the benchmarks
	cargo bench --locked

bench-cluster: tools ## Measure the operator beside kube-scheduler; sizes: BENCH="--nodes 5000", all: BENCH=--help
	cargo test --release --locked --test cluster -- bench $(BENCH)
