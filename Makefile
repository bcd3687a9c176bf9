# make help | install | demo | test | lint | format | bench

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
STAMP := $(VENV)/stamp-$(shell cat constraints.txt pyproject.toml | cksum | tr ' ' '-')
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help install demo test lint format bench clean

help:
	@echo "make install   make .venv with pinned packages"
	@echo "make demo      the main job on real images; look into demo/"
	@echo "make test      all tests"
	@echo "make lint      ruff, mypy, import directions"
	@echo "make format    put the code in order"
	@echo "make bench     measure speed, as ratios (REFERENCE=path to a clone of Monomial-NFN for the published layers;"
	@echo "               ZOO=path to a zoo of CNNs for the cost of every model)"
	@echo "make clean     remove what the others made"

install: $(STAMP)

# The build backend is pinned and installed first, and pip builds without isolation: once the environment stands, no
# target needs a network.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "mnfn needs Python 3.11 or newer with the venv module (Debian: apt install python3-venv);" \
	       "choose one with make PYTHON=python3.11" >&2; exit 2; }
	@echo "making $(VENV): pinned packages, torch among them (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e ".[dev]"
	@rm -f $(VENV)/stamp-*
	@touch $@

demo: install
	@$(BIN)/python scripts/demo.py demo

test: install
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist loadfile

lint: install
	@$(BIN)/ruff check src tests benchmarks scripts
	@$(BIN)/ruff format --check src tests benchmarks scripts
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install
	@$(BIN)/ruff check --fix src tests benchmarks scripts
	@$(BIN)/ruff format src tests benchmarks scripts

bench: install
	@$(BIN)/python benchmarks/zoo_build.py
	@$(BIN)/python benchmarks/augment.py $(if $(REFERENCE),--reference $(REFERENCE))
	@$(BIN)/python benchmarks/predict.py
	@$(BIN)/python benchmarks/help_time.py
	@$(BIN)/python benchmarks/count_params.py
	@$(BIN)/python benchmarks/siren_build.py
	@$(BIN)/python benchmarks/inr_step.py
	@$(BIN)/python benchmarks/train_step.py $(if $(REFERENCE),--reference $(REFERENCE))
	$(if $(ZOO),@$(BIN)/python benchmarks/cost.py $(ZOO))

clean:
	@rm -rf $(VENV) .cache demo
