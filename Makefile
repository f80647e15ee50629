# demo and test set up everything they need, in .venv, from a bare clone.
PYTHON ?= python3
# Processes that share the tests; each holds PyTorch.
WORKERS ?= 2
BIN := .venv/bin
INSTALL := $(BIN)/python -m pip install --quiet --disable-pip-version-check --constraint constraints.txt

.PHONY: demo test test-all coverage lint docs bench catalog hashes clean

demo: .venv/train.stamp
	$(BIN)/gan-train fit digits --minutes 3.8 --out runs/demo
	$(BIN)/gan-train export --run runs/demo --to runs/demo/gen.onnx --name demo
	$(BIN)/gan-infer grid --model runs/demo/gen.onnx --label 4 --to fours.png
	@echo "A sheet of fours, drawn by the network just trained: fours.png"

# A process that has no tests left takes some from another: files differ much in how long they take.
TESTS = $(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal

test: .venv/dev.stamp
	$(TESTS)

# Those that take minutes as well.
test-all: .venv/dev.stamp
	$(TESTS) -m "slow or not slow"

# By branch, of both packages, in the tests' own processes: programs that tests start are not counted.
coverage: .venv/dev.stamp
	$(TESTS) --cov=gan_infer --cov=gan_train --cov-branch --cov-report=term:skip-covered --cov-report=html:htmlcov

lint: .venv/dev.stamp
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

# The documentation, into site/.
docs: .venv/dev.stamp
	NO_MKDOCS_2_WARNING=1 $(BIN)/python -m mkdocs build --strict

bench: .venv/dev.stamp
	$(BIN)/python -m benchmarks.sdk_overhead
	$(BIN)/python -m benchmarks.startup
	$(BIN)/python -m benchmarks.trial
	$(BIN)/python -m benchmarks.memory

# After a change of a file in models/: its checksum.
catalog: .venv/train.stamp
	$(BIN)/python -c "from gan_infer import catalog; print(catalog.write_checksums())"

# The hashes of what the base install needs, from the package index that pip is set up with.
hashes: .venv/bin/python
	$(BIN)/python tools/hash_requirements.py

clean:
	rm -rf .venv

.venv/bin/python:
	$(PYTHON) -m venv .venv

.venv/train.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable ".[train]"
	touch $@

.venv/dev.stamp: pyproject.toml constraints.txt | .venv/bin/python
	$(INSTALL) --editable ".[dev]"
	touch $@ .venv/train.stamp
