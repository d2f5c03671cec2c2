# Two commands do everything: `make demo` and `make test`; `make test-long` is what takes longer.
# Beside them: `make soak SECONDS=600` plays
# simulated clusters for as long as told, `make mutants` shows that the simulator finds bugs.
# `make demo REGIONS=2` (or `make demo -- regions`) is a federation; SERVERS is the number in each.
PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
STAMP := $(VENV)/.installed
PLOT := $(VENV)/.plot
SERVERS ?= 3
REGIONS ?= $(if $(filter regions,$(MAKECMDGOALS)),2,1)

# Where it is set, each of the hundreds of server processes of the tests compiles all it imports.
unexport PYTHONDONTWRITEBYTECODE

# Tests of processes wait more than they compute: twice as many at a time as two cores.
WORKERS ?= 4

SECONDS ?= 60
# What tests share, for the programs that run without pytest.
SUPPORT := $(shell printf '%s:' tests/support tests/support/*/)

.PHONY: setup demo regions test test-long huge check rewritten bench soak mutants mixed gossip-figures faults fuzz attack pains spec clean

setup: $(STAMP)

$(STAMP): requirements-dev.lock pyproject.toml
	$(PYTHON) -m venv --clear $(VENV)
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-dev.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --no-deps --no-build-isolation --editable .
	touch $@

# matplotlib, which only the two pictures need: half of all that would be installed.
$(PLOT): $(STAMP) requirements-plot.lock
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-plot.lock
	touch $@

demo: setup
	$(BIN)/quorate dev -servers=$(SERVERS) -regions=$(REGIONS)

regions: demo
	@:

check: setup
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy

# While mypy takes one core: pytest rewrites the assertions of each file once, not in each worker.
# What is wrong with a file is shown by the run that follows.
rewritten: setup
	-$(BIN)/pytest --collect-only -qq >/dev/null 2>&1

test: setup
	$(MAKE) --no-print-directory -j 2 check rewritten
	$(BIN)/pytest -n $(WORKERS) --dist worksteal

# What is left out of `make test` because it takes long; .ci/run runs both.
test-long: setup
	$(BIN)/pytest -n 2 --dist worksteal -m long

# Gigabytes and millions, of which `make test-long` runs a tenth.
huge: setup
	$(BIN)/pytest -m huge -s -p no:xdist

# Clusters of Quorate and hashicorp/raft: all combinations, long series of mishaps, figures.
MIXED_MISHAPS ?= 180
mixed: setup
	MIXED_MISHAPS=$(MIXED_MISHAPS) $(BIN)/pytest tests/mixed -m process -s -p no:xdist
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/mixed/mixed_measure.py

bench: $(PLOT)
	$(BIN)/python -m bench

# docs/gossip-figures.{json,svg}: simulated pools of 10, 100 and 1,000 members, a few minutes.
gossip-figures: $(PLOT)
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/gossip/gossip_figures.py

soak: setup
	$(BIN)/python -m quorate.testing.sim --seconds $(SECONDS)

mutants: setup
	$(BIN)/pytest tests/raft/test_mutants.py tests/testing/test_stored_mutants.py -m "long or not long" -n 2 --dist worksteal --timeout 600

# Real servers under faults: FAULT_SECONDS=, SEED= of a run to repeat. Then the tests of single faults.
FAULT_SECONDS ?= 600
faults: setup
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/faults/fault_soak.py --seconds $(FAULT_SECONDS) $(if $(SEED),--seed $(SEED))
	$(BIN)/pytest tests/faults -m "not huge" -s -p no:xdist

# Coverage-guided fuzzing of every decoder: FUZZ_SECONDS= for each, TARGET= for one of them.
FUZZ_SECONDS ?= 60
fuzz: setup
	$(BIN)/pip install --quiet --disable-pip-version-check --require-hashes -r requirements-fuzz.lock
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/fuzz/fuzz_soak.py --seconds $(FUZZ_SECONDS) $(if $(TARGET),--target $(TARGET))

# Hostile clients against real clusters, SECONDS= for each attack (5); WRITE=1 updates the table of
# docs/security.md.
attack: setup
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/attack/attack_run.py $(if $(filter file,$(origin SECONDS)),,--seconds $(SECONDS)) $(if $(WRITE),--write)

# Each pain of docs/pains.md on real servers, its long forms too, with the figures measured.
pains: setup
	$(BIN)/pytest tests/process -k "pain or gossip_times" -m process -s -p no:xdist

# The TLA+ specification, all models, a quarter of an hour; then LIVES= of the simulator against it.
LIVES ?= 100
spec: setup
	PYTHONPATH=$(SUPPORT) $(BIN)/python tests/support/spec/spec_run.py --lives $(LIVES)

clean:
	rm -rf $(VENV) dist build
