# Holdfast. `make` alone lists the targets.
#
# Everything is built by the Go toolchain from go.mod, tools included. Tests need
# a little more, a C compiler for the race detector and what stands in front of a
# gateway, which `make test` installs where it may.

SHELL       := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

GO       ?= go
MODULE   := github.com/holdfast-io/holdfast
BIN      := bin/holdfast
# Generated code is neither formatted, linted nor fuzzed.
GENERATED := idl/kitex_gen
FUZZTIME ?= 20s
# Where `make bench` writes its report.
OUT      ?= bin/bench
# Packages whose tests run at the same time. Tests start servers and processes,
# so more than the cores makes them wait for each other.
TESTP    ?= $(shell nproc 2>/dev/null || echo 2)
TESTFLAGS ?=
# The Consul that tests run: built once a version, kept outside the tree.
CONSUL_VERSION := $(shell sed -n 's,^.*github.com/hashicorp/consul \(v[0-9.]*\).*,\1,p' tools/consul/go.mod)
CACHE          ?= $(or $(XDG_CACHE_HOME),$(HOME)/.cache)/holdfast
CONSUL         := $(CACHE)/consul-$(CONSUL_VERSION)
# A hung test shows its goroutines instead of stopping the machine for good.
TESTTIMEOUT ?= 15m

# All tests with the race detector. What tests of promises have measured goes to a
# file of its own, which FIGURES prints after all else, with go's own exit code.
# STRICT makes a test whose tool is missing fail instead of skip.
GOTEST = @figures=$$(mktemp); trap 'rm -f "$$figures"' EXIT; \
	export HOLDFAST_TEST_FIGURES="$$figures" HOLDFAST_TEST_CONSUL_BIN="$(CONSUL)" HOLDFAST_TEST_STRICT=1; \
	status=0; { $(GO) test -race -p $(TESTP) $(TESTFLAGS)
FIGURES = } || status=$$?; \
	echo "figures of the promises:"; sort "$$figures"; exit $$status

.PHONY: help run build test check fmt vet lint idl idl-check docs bench fuzz soak vuln consul test-tools clean

help: ## list the targets
	@grep -hE '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk 'BEGIN {FS = ":.*## "} {printf "  make %-10s %s\n", $$1, $$2}'

run: ## start gateway, echo and logic on this machine (`go run . dev`)
	$(GO) run . dev

build: ## build bin/holdfast
	$(GO) build -trimpath -o $(BIN) .

test: test-tools check consul ## everything that continuous integration runs: checks, then all tests with the race detector
	$(GOTEST) -timeout $(TESTTIMEOUT) ./...; $(FIGURES)

check: fmt vet lint idl-check ## the part of `make test` that runs no tests

fmt:
	@echo "gofmt"
	@bad=$$(find . -name '*.go' -not -path './$(GENERATED)/*' -exec gofmt -l {} +); \
	if [ -n "$$bad" ]; then echo "not formatted, run gofmt -w:" >&2; echo "$$bad" >&2; exit 1; fi

vet:
	$(GO) vet ./...

lint: ## staticcheck
	$(GO) tool staticcheck $$($(GO) list ./... | grep -v '/$(GENERATED)')

idl: ## generate idl/kitex_gen from idl/holdfast.thrift
	$(GO) tool kitex -module $(MODULE) -gen-path $(GENERATED) idl/holdfast.thrift

# Generates into a folder of its own and compares, so it never changes the tree.
# The generator wants to stand in a module, hence the copy of go.mod.
idl-check:
	@echo "idl/kitex_gen is what idl/holdfast.thrift says"
	@kitex=$$($(GO) tool -n kitex); dir=$$(mktemp -d); trap 'rm -rf "$$dir"' EXIT; \
	mkdir -p "$$dir/idl"; cp go.mod go.sum "$$dir/"; cp idl/*.thrift "$$dir/idl/"; \
	(cd "$$dir" && "$$kitex" -module $(MODULE) -gen-path $(GENERATED) idl/holdfast.thrift >gen.log 2>&1) \
		|| { cat "$$dir/gen.log" >&2; exit 1; }; \
	diff -r "$$dir/$(GENERATED)" $(GENERATED) >&2 || { echo "idl/kitex_gen differs from the IDL: run make idl" >&2; exit 1; }

docs: ## write what is generated from the code: docs/configuration.md, the metrics in docs/operating.md
	$(GO) test ./configs -run 'TestComments|TestReference' -update
	$(GO) test . -run 'TestMetricsAreDocumented' -update

bench: build ## the figures of docs/benchmarks.md; the report goes to OUT
	$(BIN) bench all --out $(OUT)

# Minimising an input that is merely interesting can take longer than FUZZTIME,
# and one that fails is small enough to read.
fuzz: ## run each fuzz target for FUZZTIME
	@for pkg in $$($(GO) list ./... | grep -v '/$(GENERATED)'); do \
		for target in $$($(GO) test -list '^Fuzz' "$$pkg" | grep '^Fuzz' || true); do \
			echo "$$pkg $$target"; \
			$(GO) test -run '^$$' -fuzz "^$$target\$$" -fuzztime $(FUZZTIME) -fuzzminimizetime 1x "$$pkg"; \
		done; \
	done

soak: test-tools consul ## the long tests as well
	$(GOTEST:@%=@export HOLDFAST_TEST_SOAK=1; %) -timeout 3h ./...; $(FIGURES)

vuln: ## govulncheck; needs its database from the network, so no part of `make test`
	$(GO) tool govulncheck ./...

# Under a lock, since two checkouts may share the cache; the name appears only
# when the binary is whole.
consul: ## build the Consul server that tests start (four minutes, once a version)
	@if [ -x "$(CONSUL)" ]; then exit 0; fi; \
	mkdir -p "$(CACHE)"; exec 9>"$(CONSUL).lock"; flock 9; \
	if [ -x "$(CONSUL)" ]; then exit 0; fi; \
	echo "building $(CONSUL), which takes some minutes"; \
	$(GO) -C tools/consul build -trimpath -o "$(CONSUL).new" github.com/hashicorp/consul; \
	mv "$(CONSUL).new" "$(CONSUL)"

# gcc is the race detector's; ip makes the network namespaces in which tests cut
# connections, which only root may; the others are the edge's neighbours: a
# balancer, a browser, and the client of the documented long poll.
test-tools:
	@missing=; \
	command -v "$${CC:-gcc}" >/dev/null || missing="gcc libc6-dev"; \
	for tool in haproxy chromium curl; do command -v "$$tool" >/dev/null || missing="$$missing $$tool"; done; \
	command -v ip >/dev/null || [ "$$(id -u)" != 0 ] || missing="$$missing iproute2"; \
	if [ -z "$$missing" ]; then exit 0; fi; \
	if [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
		echo "installing $$missing for the tests"; \
		apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends $$missing >/dev/null; \
	else \
		echo "the tests need $$missing: install them, or run this as root on a Debian system" >&2; exit 1; \
	fi

clean: ## remove what the targets made
	rm -rf bin
