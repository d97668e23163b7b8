# What is done often. The tests need no make: `go test ./...`, as root for those
# that trace the running kernel.

GO       ?= go
FUZZTIME ?= 5s
RACE     ?= ./...
BENCH    ?=
LINTER   := $(GO) tool -modfile=tools/go.mod golangci-lint

.PHONY: build test test-race test-readers lint fmt fuzz bench generate check-generated cross tidy clean

## build: bin/perfpipe, a static program
build:
	CGO_ENABLED=0 $(GO) build -trimpath -o bin/perfpipe ./cmd/perfpipe

## test: every test that may run here; PERFPIPE_REQUIRE_PRIVILEGE=1 fails where one may not
test:
	$(GO) test ./...

## test-race: the packages of RACE under the race detector, which needs a C compiler
test-race:
	CGO_ENABLED=1 $(GO) test -race $(RACE)

## test-readers: read our files with DuckDB, ClickHouse, Polars, arrow-js, parquet-wasm and hyparquet; needs node 18 or newer, and npm
test-readers:
	cd readers && npm ci --ignore-scripts
	$(GO) test -tags readers -count=1 -v ./readers

## lint: the rules of .golangci.yml
lint:
	$(LINTER) config verify
	$(LINTER) run --allow-parallel-runners ./...

## fmt: format the Go files
fmt:
	gofmt -w $$(git ls-files '*.go')

## fuzz: every fuzz target for FUZZTIME
fuzz:
	@GO='$(GO)' .ci/fuzz $(FUZZTIME)

## bench: the figures of BENCHMARKS.md, against perf record on this machine; as root
bench:
	$(GO) run ./bench $(BENCH)

## generate: make the generated files anew
generate:
	$(GO) generate ./...

## check-generated: fail where a generated file is not what its generator makes
check-generated:
	@before=$$(mktemp) && after=$$(mktemp) && trap 'rm -f "$$before" "$$after"' EXIT && \
	git ls-files -z | xargs -0 sha256sum >"$$before" 2>/dev/null; \
	$(GO) generate ./... && \
	git ls-files -z | xargs -0 sha256sum >"$$after" 2>/dev/null; \
	diff "$$before" "$$after" || { echo 'generated files are not current: run make generate and commit them' >&2; exit 1; }

## cross: build and vet for other systems
cross:
	GOOS=darwin CGO_ENABLED=0 $(GO) vet ./...
	GOOS=darwin CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/perfpipe
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) vet ./...
	GOOS=linux GOARCH=arm64 CGO_ENABLED=0 $(GO) build -o /dev/null ./cmd/perfpipe

## tidy: fail where go.mod or go.sum are not what the code needs, or a module is not what go.sum says
tidy:
	$(GO) mod verify
	$(GO) mod tidy -diff
	cd tools && $(GO) mod tidy -diff

clean:
	rm -rf bin readers/node_modules
