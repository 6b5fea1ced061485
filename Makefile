# greenroom: `make help` lists what there is.
SHELL := bash
.SHELLFLAGS := -euo pipefail -c
.DEFAULT_GOAL := help

# The version comes from git. In a tree that git does not answer for (an archive, somebody else's clone) the build goes on without.
export GOFLAGS := $(GOFLAGS) -buildvcs=$(shell git status --porcelain >/dev/null 2>&1 && echo auto || echo false)

.PHONY: help demo dev build agents aws-package assets test test-go test-browser check fmt lint pictures bench simulate mutations chaos attack clean

help: ## Show this list
	@grep -E '^[a-z-]+:.*## ' $(MAKEFILE_LIST) | awk -F ':.*## ' '{printf "  make %-14s %s\n", $$1, $$2}'

demo: ## Set up what is missing, serve, schedule a meeting that starts now and print its links
	@scripts/setup.sh demo
	@$(MAKE) --no-print-directory build
	@scripts/demo.sh

dev: build ## Serve from this tree with its data in .cache/dev, verbosely, and with the gallery of pages
	bin/greenroom serve --data-dir .cache/dev --gallery --log-level debug

build: assets ## Build bin/greenroom
	go build -o bin/greenroom ./cmd/greenroom

agents: ## Build bin/agents/: greenroom-agent for Linux and Windows, amd64 and arm64
	@for os in linux windows; do for arch in amd64 arm64; do \
		out=bin/agents/greenroom-agent-$$os-$$arch; [ $$os = linux ] || out=$$out.exe; \
		CGO_ENABLED=0 GOOS=$$os GOARCH=$$arch go build -trimpath -ldflags '-s -w' -o $$out ./cmd/greenroom-agent; \
	done; done

aws-package: assets ## Build dist/greenroom-lambda-ARCH.zip and -http-ARCH.zip for deploy/aws; CONFIG=dir puts its files into them
	@scripts/aws_package.sh $(if $(CONFIG),'$(CONFIG)')

assets: ## Bundle the pages' scripts and styles
	@scripts/setup.sh build
	@npm run --silent build

test: ## Set up what is missing and run every test
	@scripts/setup.sh test
	@$(MAKE) --no-print-directory build
	@python3 scripts/run_tests.py

test-go: assets ## Run the Go tests alone
	go test -race ./...

test-browser: build ## Run the browser tests alone
	npx --no-install playwright test

check: build ## What a change must pass before it is sent: format, vet, lint, types, tests
	@test -z "$$(gofmt -l .)" || { echo "not formatted (make fmt):"; gofmt -l .; exit 1; }
	go mod tidy -diff
	go vet ./...
	@$(MAKE) --no-print-directory lint
	npm run --silent typecheck
	go test -race ./...

fmt: ## Format the Go code
	gofmt -w .

lint: ## Run the linters of .golangci.yaml
	go tool -modfile=tools.mod golangci-lint run

pictures: build ## Make the pictures of README.md from a meeting with real desktops
	@scripts/setup.sh test
	@scripts/pictures.sh

bench: assets ## Run the benchmarks; each prints its figure beside that of a peer measured in the same run
	@scripts/setup.sh bench
	go test -run '^$$' -bench . -benchtime 1s -timeout 30m ./...

simulate: ## Lead a million random lives through a simulated world, and check every promise
	go run ./cmd/simulate --lives 1000000

chaos: build ## Hit the real binary 200 times on each database, with 100 desktops, and look for what is lost, doubled or left (half an hour)
	go test -count 1 -timeout 120m -v -run 'TestChaosOn(SQLite|PostgreSQL)' ./e2e -blows 200 -crowd 50 -parallel 1

attack: build ## Attack the real binary from 64 addresses in nine ways, and want 20 honest entries under each within two seconds
	go test -count 1 -timeout 30m -v -run TestHonestUnderAttack ./e2e -siege

mutations: ## Put deliberate faults into the product, rare ones too, and expect the simulation to find each (minutes)
	go test -tags rare -count 1 -timeout 60m -v ./internal/sim/mutations

clean: ## Remove what was built
	rm -rf bin dist node_modules internal/web/static/dist/* internal/agent/novncagent/static/dist/* .cache test-results
