# make help | install | demo | test | docs | crash | fuzz | lint | format | bench | audit | dist | try | lowest

PYTHON ?= python3
VENV := .venv
BIN := $(VENV)/bin
WORKERS ?= auto
STAMP := $(VENV)/stamp-$(shell cat constraints.txt pyproject.toml | cksum | tr ' ' '-')
SITE_STAMP := $(VENV)/site-$(notdir $(STAMP))
PIP := $(BIN)/python -m pip --disable-pip-version-check -q

.PHONY: help install demo test docs site crash fuzz lint format bench audit dist try lowest clean

help:
	@echo "make install   create .venv with pinned packages"
	@echo "make demo      build zoos of real images, train and evaluate; results are in demo/"
	@echo "make test      run all tests but the long ones"
	@echo "make site      build the documentation in site/; a broken link or a missing page is an error"
	@echo "make docs      build it, and type what its pages and the README show, from end to end"
	@echo "make crash     kill, starve and race commands at a thousand instants and at every change of the disk"
	@echo "make fuzz      read 380,000 damaged files of every kind (a quarter of an hour on one core; all cores are used)"
	@echo "make lint      check style, types and imports (ruff, mypy, import-linter)"
	@echo "make format    format the code (ruff)"
	@echo "make bench     measure speed and memory in one table of ratios (REFERENCE=path to a clone of Monomial-NFN for the published layers;"
	@echo "               ZOO=path to a zoo of CNNs for the cost of every model)"
	@echo "make audit     ask the package index for known vulnerabilities of the pinned packages"
	@echo "make dist      build the sdist and the wheel into dist/, and check what is in them"
	@echo "make try       install that wheel as a stranger would, and use it (PYTHONS='python3.11 python3.12')"
	@echo "make lowest    run quick tests with the lowest version of every dependency that is allowed"
	@echo "make clean     remove .venv, .cache, demo/ and site/"

install: $(STAMP)

# The build backend is pinned and installed first, and pip builds without isolation, so that no target needs a network
# once the environment exists.
$(STAMP): constraints.txt pyproject.toml
	@$(PYTHON) -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null || { \
	  echo "mnfn needs Python 3.11 or newer with the venv module (Debian: apt install python3-venv);" \
	       "choose one with make PYTHON=python3.11" >&2; exit 2; }
	@echo "making $(VENV): pinned packages, torch among them (some minutes the first time)"
	@$(PYTHON) -m venv $(VENV)
	@$(PIP) install -c constraints.txt hatchling editables
	@$(PIP) install -c constraints.txt --no-build-isolation -e ".[dev]"
	@rm -f $(VENV)/stamp-* $(VENV)/site-stamp-*
	@touch $@

demo: install
	@$(BIN)/python scripts/demo.py demo

test: install
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m "not docs and not crash and not fuzz"

docs: site
	@$(BIN)/python -m pytest -m docs

site: $(SITE_STAMP)
	@NO_MKDOCS_2_WARNING=1 $(BIN)/mkdocs build --strict --quiet

# What builds the site is installed when it is first built, so that nothing else waits for it.
$(SITE_STAMP): $(STAMP)
	@$(PIP) install -c constraints.txt --no-build-isolation -e ".[dev,docs]"
	@rm -f $(VENV)/site-stamp-*
	@touch $@

crash: install
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist worksteal -m crash

fuzz: install
	@$(BIN)/python -m pytest --numprocesses $(WORKERS) --dist load -m fuzz tests/fuzz tests/hostile

lint: install
	@$(BIN)/ruff check src tests benchmarks scripts
	@$(BIN)/ruff format --check src tests benchmarks scripts
	@$(BIN)/mypy
	@$(BIN)/lint-imports --no-logo

format: install
	@$(BIN)/ruff check --fix src tests benchmarks scripts
	@$(BIN)/ruff format src tests benchmarks scripts

bench: install
	@$(BIN)/python benchmarks/table.py $(if $(REFERENCE),--reference $(REFERENCE))
	$(if $(ZOO),@$(BIN)/python benchmarks/cost.py $(ZOO))

# The auditor has an environment of its own: it must be new, and nothing of mnfn depends on it.
audit:
	@test -x .cache/audit/bin/pip-audit || { $(PYTHON) -m venv .cache/audit && \
	  .cache/audit/bin/python -m pip --disable-pip-version-check -q install pip-audit; } >/dev/null 2>&1 || true
	@$(PYTHON) scripts/audit.py .cache/audit/bin/pip-audit

dist: install
	@$(BIN)/python scripts/dist.py dist

try: dist
	@$(PYTHON) scripts/try_wheel.py dist/mnfn-*.whl $(or $(PYTHONS),$(PYTHON))

lowest:
	@$(PYTHON) scripts/lowest.py --numprocesses $(WORKERS) --dist loadfile

clean:
	@rm -rf $(VENV) .cache demo site
