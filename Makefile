# nscope. `make` lists what can be made.
GO      ?= go
VERSION ?= $(shell git describe --tags --always --dirty 2>/dev/null || echo dev)
LDFLAGS  = -s -w -X github.com/nscope/nscope/cmd.version=$(VERSION)
BUILD    = CGO_ENABLED=0 $(GO) build -trimpath -ldflags '$(LDFLAGS)'
PREFIX  ?= /usr/local
IMAGE   ?= nscope:$(VERSION)
ARCH    ?= $(shell $(GO) env GOARCH)

.DEFAULT_GOAL := help
.PHONY: help build demo test test-vm test-deps lint bench pgo image release docs install clean

help: ## list these targets
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-10s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

build: ## one static binary, bin/nscope
	$(BUILD) -o bin/nscope ./cmd/nscope

demo: build ## see what it does: an overlay of two hosts, shown, broken and taken away (root, no engine)
	@$(GO) run ./fixtures/demo bin/nscope

test: test-deps ## install what the tests need, run everything, as root and as nobody
	.ci/test

test-vm: test-deps ## in a virtual machine: what needs kernel features this machine lacks, and an engine's modes that test leaves out (root)
	NSCOPE_LONG=1 NSCOPE_MUST_RUN=1 $(GO) test -count 1 -timeout 45m -v ./fixtures/vm ./internal/vmtest

test-deps:
	.ci/deps

lint: ## gofmt, vet, staticcheck, the architecture's rules, cross builds
	.ci/lint

# What is measured is compiled as what is shipped.
PROFILE = $(CURDIR)/cmd/nscope/default.pgo

bench: ## speed and size, as ratios in one run (root)
	$(GO) test -pgo=$(PROFILE) -run '^$$' -bench . -benchtime 1x -count 1 ./internal/bench
	$(GO) test -pgo=$(PROFILE) -run '^$$' -bench . -benchtime 1x -count 1 ./tui

pgo: ## look where the time goes, and tell the compiler: cmd/nscope/default.pgo (root)
	-$(GO) test -trimpath -pgo=off -run '^$$' -bench 'CaptureAllocs|Rules|At1000|Evaluate' -benchtime 1x -count 1 -cpuprofile $(PROFILE).1 -o /dev/null ./internal/bench
	-$(GO) test -trimpath -pgo=off -run '^$$' -bench . -benchtime 1x -count 1 -cpuprofile $(PROFILE).2 -o /dev/null ./tui
	$(GO) tool pprof -proto -output $(PROFILE) $(PROFILE).1 $(PROFILE).2
	rm -f $(PROFILE).1 $(PROFILE).2

image: ## a container image FROM scratch, dist/nscope-image-ARCH.tar (docker load), no engine needed
	$(GO) run ./internal/mkimage -arch $(ARCH) -tag $(IMAGE) -version $(VERSION) -o dist/nscope-image-$(ARCH).tar

release: ## for amd64 and arm64, below dist/: a tarball and a Debian package each, checksums, SBOM; the same bytes each time
	CGO_ENABLED=0 $(GO) run -trimpath ./internal/mkrelease -arch amd64,arm64 -version $(VERSION)

docs: ## what is generated of README.md and docs/: examples, schema, manual pages
	$(GO) run ./internal/mkdocs

install: build ## install binary, man pages and completions below PREFIX (/usr/local)
	install -D -m 755 bin/nscope $(DESTDIR)$(PREFIX)/bin/nscope
	bin/nscope man $(DESTDIR)$(PREFIX)/share/man/man1
	install -d $(DESTDIR)$(PREFIX)/share/bash-completion/completions $(DESTDIR)$(PREFIX)/share/zsh/site-functions $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d
	bin/nscope completion bash > $(DESTDIR)$(PREFIX)/share/bash-completion/completions/nscope
	bin/nscope completion zsh > $(DESTDIR)$(PREFIX)/share/zsh/site-functions/_nscope
	bin/nscope completion fish > $(DESTDIR)$(PREFIX)/share/fish/vendor_completions.d/nscope.fish

clean: ## remove what was built
	rm -rf bin dist
