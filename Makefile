# Every target does its own set-up: Python 3.11 or newer with pip is all that a machine needs.
PYTHON ?= python3
VENV ?= .venv
BIN := $(VENV)/bin
READY := $(VENV)/.installed
export HEADSTART_CACHE ?= $(CURDIR)/.cache/headstart

.PHONY: quickstart predict test check bench clean

$(READY): pyproject.toml constraints.txt
	$(PYTHON) -m venv $(VENV)
	$(BIN)/python -m pip install --quiet --upgrade pip
	$(BIN)/python -m pip install --quiet --constraint constraints.txt torch==2.13.0
	$(BIN)/python -m pip install --quiet --constraint constraints.txt --editable '.[dev]'
	touch $(READY)

# The question of the project in minutes: 3D alone against 2D first, at equal training FLOPs, three seeds, and a report.
quickstart: $(READY)
	$(BIN)/headstart synth wild --split train --count 800 --workers 2
	$(BIN)/headstart synth wild --split test --count 100 --workers 2
	$(BIN)/headstart synth studio --split train --count 800 --workers 2
	$(BIN)/headstart synth studio --split test --count 100 --workers 2
	$(BIN)/headstart synth occluded --split test --count 100 --workers 2
	$(BIN)/headstart show samples synthetic_wild --root data/synthetic --out runs/quickstart/samples.png
	$(BIN)/headstart study run quickstart --out runs/quickstart --jobs 2
	$(BIN)/headstart report runs/quickstart

# make predict IMAGE=photo.jpg [MODEL=runs/mine]: the picture with its skeleton, and people.json, in predictions/
predict: $(READY)
	@test -n "$(IMAGE)" || { echo "make predict: expected a photo, for example: make predict IMAGE=photo.jpg" >&2; exit 2; }
	$(BIN)/headstart predict "$(IMAGE)" $(if $(MODEL),--model "$(MODEL)") --out predictions --json predictions/people.json

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
	rm -rf $(VENV) .cache predictions runs/quickstart
