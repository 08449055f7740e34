# The commands of the book; `make help` lists them. All a machine needs is make and Python >= 3.11.
PROFILE ?= reader
SUITABLE := import ensurepip, sys; sys.exit(sys.version_info < (3, 11))
PYTHON ?= $(shell for p in python3.12 python3.11 python3; do $$p -c '$(SUITABLE)' 2>/dev/null && echo $$p && break; done)
BIN := .venv/bin
CONSTRAINTS ?= constraints.txt
READY := .venv/.ready
LAB := .venv/.lab

.PHONY: help figures paper lab sweep profiles site pdf quarto check test benchmark lint sync constraints clean

help:  ## list the commands
	@sed -n 's/^\([a-z]*\):.*## \(.*\)/make \1	\2/p' Makefile | expand -t 20

figures: $(READY)  ## redraw what is out of date: PROFILE=reader|smoke|paper, ONLY=04_mean_field, RESUME=1
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book figures --profile '$(PROFILE)' \
		$(if $(ONLY),--only '$(ONLY)') $(if $(RESUME),--resume)

paper: PROFILE := paper
paper: $(READY)  ## what the paper's sizes lack, until a deadline: SECONDS=500, OUT=folder for archives of it, TAKE=folder takes them in
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book paper --profile '$(PROFILE)' \
		$(if $(SECONDS),--seconds '$(SECONDS)') $(if $(OUT),--out '$(OUT)') $(if $(TAKE),--take '$(TAKE)')

lab: $(LAB)  ## the book in JupyterLab, to change and run it cell by cell: ARGS=--no-browser for JupyterLab's own options
	@cd nbs && JAX_COMPILATION_CACHE_DIR='$(CURDIR)/build/.jax' JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS=0 \
		../$(BIN)/python -m jupyterlab $(ARGS) index.ipynb

site: $(READY)  ## figures, then the site in build/PROFILE/site: PROFILE=reader|smoke, SERVE=1 to look at it
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book site --profile '$(PROFILE)' $(if $(SERVE),--serve)

pdf: $(READY)  ## the site, and the book and each chapter as PDF, printed by Chromium: PROFILE=reader|smoke
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book pdf --profile '$(PROFILE)'

quarto: $(READY)  ## figures, then the same pages with nbdev and Quarto, where Quarto is installed: PROFILE=reader|smoke
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book quarto --profile '$(PROFILE)'

sweep: $(READY)  ## make what is missing of the sweep of a profile: PROFILE=reader|smoke|paper
	@POC_BOOK_PARENT=$$PPID $(BIN)/python -m poc_book sweep --profile '$(PROFILE)'

profiles: $(READY)  ## list the parameters of every chapter in every profile
	@$(BIN)/python -m poc_book profiles

check: lint  ## what a change should pass before a commit, in two minutes: style, types and the quick tests
	$(BIN)/python -m pytest -q --numprocesses 2 --dist worksteal -m 'not slow'

test: $(READY)  ## all unit tests, the engine's notebooks among them, then the chapters at smoke size
	$(BIN)/python -m pytest -q -rs --numprocesses 2 --dist worksteal
	@$(MAKE) --no-print-directory figures PROFILE=smoke
	$(BIN)/python -m pytest -q -rs tests/compilations.py

benchmark: $(READY)  ## ratios of speed and memory on this machine, into benchmarks/cpu.json or gpu.json: 20 minutes; ONLY=growth_of_cost
	XLA_PYTHON_CLIENT_PREALLOCATE=false $(BIN)/python benchmarks/run.py $(ONLY)

lint: $(READY)  ## style of modules and notebooks, types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check --quiet .
	$(BIN)/mypy

sync: $(READY)  ## format and clean the notebooks, export the modules from them
	$(BIN)/ruff format --quiet .
	$(BIN)/nbdev-export
	$(BIN)/nbdev-clean

PIN = $(BIN)/uv pip compile --quiet --universal --upgrade --python-version 3.11 --extra book --extra dev --extra site \
	--extra cluster --no-annotate --no-header --no-emit-index-url --no-emit-find-links pyproject.toml
constraints: $(READY)  ## pin anew all versions, for every supported Python
	$(PIN) --output-file constraints.txt
	$(PIN) --extra lab --constraint constraints.txt --output-file .venv/lab.txt
	{ echo '# only for `make lab`'; grep -vxFf constraints.txt .venv/lab.txt; } > .venv/only-lab.txt
	cat .venv/only-lab.txt >> constraints.txt

clean:  ## remove all results (not .venv)
	rm -rf build .mypy_cache .pytest_cache .ruff_cache .hypothesis

# The environment is made once, and again when what it depends on changes. $(CONSTRAINTS) pins all that it needs, so nothing
# is resolved. uv takes half of pip's time, and for a second clone what it has kept of the first; pip does it where uv cannot,
# as from a package index that only pip's configuration names. Both say nothing but errors. The plugin for clusters is left
# out: Snakemake would load it at each start. So is JupyterLab, until `make lab` asks for it.
PIP := $(BIN)/python -m pip --disable-pip-version-check --quiet --quiet
$(READY): pyproject.toml constraints.txt
	@'$(PYTHON)' -c '$(SUITABLE)' 2>/dev/null || \
		{ echo "PYTHON = '$(PYTHON)': Python 3.11 or newer with venv is needed" >&2; exit 2; }
	@echo "installing the environment in .venv with $$($(PYTHON) --version): a few minutes, once" >&2
	@$(BIN)/python -m pip --version >/dev/null 2>&1 || $(PYTHON) -m venv --clear .venv
	@sed '/^# only for/,$$d; /^snakemake-executor-plugin-/d' '$(CONSTRAINTS)' > .venv/pins.txt
	@$(PIP) install --no-deps --constraint .venv/pins.txt uv
	@$(BIN)/uv pip install --python $(BIN)/python --no-deps --compile-bytecode --requirement .venv/pins.txt 2>/dev/null || \
		$(PIP) install --no-deps --requirement .venv/pins.txt
	@$(PIP) install --no-deps --no-build-isolation --editable .
	@missing=$$($(BIN)/python -m pip check) || echo "$$missing" >&2
	@touch $(READY)
$(LAB): $(READY)
	@echo "installing JupyterLab in .venv, once" >&2
	@sed '1,/^# only for/d' '$(CONSTRAINTS)' > .venv/pins-lab.txt
	@$(BIN)/uv pip install --python $(BIN)/python --no-deps --requirement .venv/pins-lab.txt 2>/dev/null || \
		$(PIP) install --no-deps --requirement .venv/pins-lab.txt
	@missing=$$($(BIN)/python -m pip check) || echo "$$missing" >&2
	@touch $(LAB)
