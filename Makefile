# Everything happens inside .venv and .pdp; `make clean` removes both.
PYTHON ?= python3
VENV   := .venv
BIN    := $(VENV)/bin
PIP    := $(BIN)/python -m pip --disable-pip-version-check --quiet
HTTP   ?= 127.0.0.1:8443
GRPC   := pdp/adapters/grpc
CLIENT := clients/python

MINUTES ?= 10

.PHONY: run test check fuzz install install-dev lock proto bench faults clean help
.DEFAULT_GOAL := help

help: ## show this list
	@awk -F':.*## ' '/^[a-z-]+:.*## /{printf "  make %-12s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

install: $(VENV)/.installed ## a working .venv/bin/pdp, from the locked requirements

install-dev: $(VENV)/.installed-dev ## the same, with what tests and checks need

run: $(VENV)/.installed ## policies checked and tested, certificates, the service on mTLS, two questions; Ctrl-C ends it
	@$(BIN)/python -m pdp.cli.demo --http $(HTTP) policies

test: $(VENV)/.installed-dev ## the whole test-suite
	$(BIN)/python -m pytest -n 2 --dist loadfile tests $(CLIENT)/tests

check: $(VENV)/.installed-dev ## formatting, lint and types
	$(BIN)/ruff format --check pdp tests loadtests clients
	$(BIN)/ruff check pdp tests loadtests clients
	$(BIN)/mypy

fuzz: $(VENV)/.installed-dev ## hostile input for everything that is read from outside, for MINUTES=10; ONLY=name for one
	$(BIN)/python -m tests.fuzz --minutes $(MINUTES) $(if $(SEED),--seed $(SEED)) $(if $(ONLY),--only $(ONLY))

bench: $(VENV)/.installed-dev ## every benchmark, pdp beside its peers last; hours, or with QUICK=1 minutes
	$(BIN)/python loadtests/bench/run.py $(if $(QUICK),--quick)

faults: $(VENV)/.installed-dev ## what becomes of questions while something fails; writes docs/faults.md
	$(BIN)/python tests/faults/run.py

proto: $(VENV)/.installed-dev ## generate the gRPC messages again from their .proto files
	mkdir -p build/proto
	$(BIN)/python -m grpc_tools.protoc -I $(GRPC)/proto --python_out=build/proto --pyi_out=build/proto \
		pdp/v1/decision.proto pdp/internal/v1/raw_batch.proto
	cp build/proto/pdp/v1/*_pb2.py* build/proto/pdp/internal/v1/*_pb2.py* $(GRPC)/v1/
	cp build/proto/pdp/v1/*_pb2.py* $(CLIENT)/src/pdp_client/v1/

lock: $(VENV)/.installed-dev ## resolve the requirements again
	PIP="$(PIP)" BIN=$(BIN) sh requirements/lock.sh

clean: ## remove what make made
	rm -rf $(VENV) .pdp dist build

$(VENV)/bin/python:
	$(PYTHON) -m venv $(VENV)

$(VENV)/.installed: requirements/install.txt pyproject.toml | $(VENV)/bin/python
	$(PIP) install --require-hashes -r requirements/install.txt
	$(PIP) install --no-deps --no-build-isolation -e .
	@touch $@

$(VENV)/.installed-dev: requirements/dev.txt clients/python/pyproject.toml $(VENV)/.installed
	$(PIP) install --require-hashes -r requirements/dev.txt
	$(PIP) install --no-deps --no-build-isolation -e $(CLIENT)
	@touch $@
