# Every target does its own set-up: Python 3.11 or newer with pip is all that a machine needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
export HEADSTART_CACHE ?= $(CURDIR)/.cache/headstart

.PHONY: quickstart test check bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

# The scheme in small: 2D labels from the wild first, then 3D from a studio, scored on people never seen.
quickstart: $(READY)
	$(BIN)/headstart synth wild --split train --count 600
	$(BIN)/headstart synth wild --split test --count 100
	$(BIN)/headstart synth studio --split train --count 400
	$(BIN)/headstart synth studio --split test --count 100
	$(BIN)/headstart show samples synthetic_wild --root data/synthetic --augment --out runs/quickstart-samples.png
	$(BIN)/headstart train pretrain_2d_then_3d --out runs/quickstart --resume \
	    --two-d synthetic_wild --three-d synthetic_studio \
	    --root synthetic_wild=data/synthetic --root synthetic_studio=data/synthetic \
	    --model.backbone nano --model.head.channels 64 --model.input-size 128 128 --batch-size 16 \
	    --stages.0.budget.samples 12000 --stages.1.budget.samples 12000 --stages.2.budget.samples 1000 \
	    --validate-samples 6000 --workers 1
	$(BIN)/headstart eval runs/quickstart --protocol synthetic_studio --root data/synthetic --workers 1 \
	    --picture runs/quickstart-predictions.png

test: $(READY)
	$(BIN)/python -m pytest -n 2 --dist worksteal

check: $(READY)
	$(BIN)/ruff format --check .
	$(BIN)/ruff check .
	$(BIN)/mypy
	$(BIN)/lint-imports
	$(MAKE) test

bench: $(READY)
	$(BIN)/python benchmarks/bench.py
	$(BIN)/python benchmarks/synth.py
	$(BIN)/python benchmarks/predict.py

clean:
	rm -rf $(VENV) .cache runs data
