# make up    the market-data platform on embedded stores and a simulated exchange, Ctrl-C ends it
# make test  the tests that need Python alone
# The rest needs more: see CONTRIBUTING.md.

PYTHON ?= python3
VENV   ?= .venv
BIN    := $(VENV)/bin
CAPTURE ?=
ARGS   ?=
WORKERS ?= 4

# Hundreds of processes import the same modules: what Python has compiled is kept, whatever the environment says.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: up test lint compat soak bench web clean venv-check

up: $(VENV)/.up
	exec $(BIN)/barnabas-quant up $(if $(CAPTURE),--capture "$(CAPTURE)") $(ARGS)

test: $(VENV)/.test
	$(BIN)/python -m pytest -n $(WORKERS) $(ARGS)

lint: $(VENV)/.test
	$(BIN)/ruff check .
	$(BIN)/mypy barnabas/src quant/src
	$(BIN)/lint-imports

compat: $(VENV)/.test
	compat/make $(ARGS)

soak: $(VENV)/.test
	$(BIN)/python -m pytest -n 0 soak $(ARGS)

bench: $(VENV)/.test
	$(BIN)/python -m bench $(ARGS)
	$(if $(ARGS),,$(BIN)/python -m bench.backtests)
	$(if $(ARGS),,$(BIN)/python -m bench.platform)
	$(if $(ARGS),,$(BIN)/python -m bench.pages)

# A Debian without ensurepip cannot make environments: say what helps instead of a traceback.
$(VENV)/.made:
	@$(PYTHON) -c 'import sys; sys.exit(sys.version_info < (3, 11))' \
	  || { echo "Python 3.11 or later is needed (PYTHON=... names another one)"; exit 1; }
	@$(PYTHON) -c 'import ensurepip' 2>/dev/null \
	  || { echo "This Python cannot make environments. On Debian: apt install python3-venv"; exit 1; }
	$(PYTHON) -m venv $(VENV)
	touch $@

$(VENV)/.up: $(VENV)/.made constraints.txt barnabas/pyproject.toml quant/pyproject.toml
	$(BIN)/pip install -q -c constraints.txt -e ./barnabas -e './quant[embedded]'
	touch $@

$(VENV)/.test: $(VENV)/.up requirements-dev.txt
	$(BIN)/pip install -q -c constraints.txt -r requirements-dev.txt
	touch $@

web: web/node_modules/.installed
	cd web && node build.mjs $(ARGS)

web/node_modules/.installed: web/package-lock.json
	@command -v npm > /dev/null || { echo "The pages are built with Node 20.19 or later and npm; using them needs neither"; exit 1; }
	cd web && npm ci --no-audit --no-fund
	touch $@

clean:
	rm -rf $(VENV)
