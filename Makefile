# Two targets matter: `make demo` and `make test`. Everything else is a part of them.
# Needed on the machine: Python 3.11 or newer with venv, git, make. Packages come from the index that pip is set up for.

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
DEMO := .demo
READY := $(VENV)/.installed
# Tests of installed commands, with servers or stand-ins for them.
SERVED := tests/stages tests/integration tests/operate tests/reporting
# Databases, repositories and environments of tests are large and short-lived: in memory where there is room for them.
ROOMY := $(shell [ "$$(df -k --output=avail /dev/shm 2>/dev/null | tail -n 1)" -ge 12000000 ] 2>/dev/null && echo /dev/shm)
IN_MEMORY := $(if $(ROOMY),TMPDIR=$(ROOMY))

.NOTPARALLEL:
.PHONY: demo demo-neutron test lint unit integration docs bench bench-blame clean

$(READY): setup.cfg pyproject.toml
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --disable-pip-version-check uv
	$(BIN)/uv pip install --quiet --python $(BIN)/python --editable '.[test,lint]'
	touch $@

demo: $(READY)
	$(BIN)/python examples/make_repositories.py --into $(DEMO)
	$(BIN)/ci-run-job --config examples/ci.yaml --change 1,1 --project example/networking-example \
		--ref refs/changes/01/1/1 --url $(DEMO)/networking-example.git

$(DEMO)/neutron.tar.gz: examples/constraints.txt $(READY)
	mkdir -p $(DEMO)
	$(BIN)/python examples/fetch_neutron.py --into $(DEMO) --constraints examples/constraints.txt

demo-neutron: $(DEMO)/neutron.tar.gz
	$(BIN)/python examples/make_repositories.py --into $(DEMO) --neutron-sdist $(DEMO)/neutron.tar.gz
	$(BIN)/ci-run-job --config examples/ci-neutron.yaml --change 2,1 --project openstack/neutron \
		--ref refs/changes/02/2/1 --url $(DEMO)/neutron.git
	$(BIN)/python examples/expect_exit.py 1 $(BIN)/ci-run-job --config examples/ci-neutron.yaml --change 3,1 \
		--project openstack/neutron --ref refs/changes/03/3/1 --url $(DEMO)/neutron.git

test: lint unit integration

lint: $(READY)
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy
	$(BIN)/shellcheck devstack-hooks/*.sh .ci/run examples/networking-example/devstack/plugin.sh

# In parallel and in seconds: no gate.
unit: $(READY)
	$(IN_MEMORY) $(BIN)/python -m pytest -n auto -m 'not gate' tests $(SERVED:%=--ignore=%)

# Installed commands with a stand-in for OpenStack, in parallel; then a real gate each, one after the other.
integration: $(READY)
	$(IN_MEMORY) $(BIN)/python -m pytest -n auto -m 'not gate' $(SERVED)
	$(IN_MEMORY) $(BIN)/python -m pytest -m gate --durations=12 tests

# The pages, without a warning: docs/_build/html/index.html
docs: $(READY)
	$(BIN)/sphinx-build -W --keep-going -q -b html -d docs/_build/doctrees docs docs/_build/html

bench: $(READY)
	$(BIN)/python benchmarks/run_all.py

# One fault each, on the real gate: about an hour. --only NAME runs a part; --list names them.
bench-blame: $(READY) $(DEMO)/neutron.tar.gz
	$(BIN)/python -m benchmarks.blame.run_all --more --neutron-sdist $(DEMO)/neutron.tar.gz --write-results

clean:
	rm -rf $(VENV) $(DEMO) .ci-runs build dist docs/_build *.egg-info
