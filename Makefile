# For a new user: `make demo`. Every target makes the environment first.
# VERBOSE=1, as in `make demo VERBOSE=1`, shows all that Snakemake and its jobs print.
VENV := .venv
BIN := $(VENV)/bin
UV := $(BIN)/uv
UV_VERSION := 0.13.9
# those that a container's quota leaves; nproc knows no quota, and obeys OMP_NUM_THREADS, which clusters set to 1
CORES = $(eval CORES := $(shell $(BIN)/python -c "import joblib; print(joblib.cpu_count())" 2>/dev/null))$(CORES)
# the versions of Python that requirements.lock was tried with
SUPPORTED := -c 'import sys; sys.exit(not (3, 11) <= sys.version_info < (3, 14))'
PYTHON := $(shell for python in python3.13 python3.12 python3.11 python3; do \
	$$python $(SUPPORTED) 2>/dev/null && echo $$python && break; done)
READY := $(VENV)/.ready
# Its programs know it by the folder that it was made in, and it is made to its end once that is in the file. No shell
# is given the path as text.
export VENV_PATH := $(abspath $(VENV))
INTACT :=
ifeq "$(shell cat $(READY) 2>/dev/null)" "$(VENV_PATH)"
INTACT := $(shell $(BIN)/python $(SUPPORTED) && echo yes)
endif
SNAKEMAKE = $(BIN)/snakemake --cores $(CORES)
# jobs call `python`
export PATH := $(CURDIR)/$(BIN):$(PATH)
export FAIRDISTILL_VERBOSE := $(VERBOSE)
# uv has names of its own for them
ifdef PIP_INDEX_URL
export UV_DEFAULT_INDEX ?= $(PIP_INDEX_URL)
endif
ifdef PIP_EXTRA_INDEX_URL
export UV_INDEX ?= $(PIP_EXTRA_INDEX_URL)
# by itself it asks no other index for a package that the first one has in whatever version
export UV_INDEX_STRATEGY ?= unsafe-best-match
endif
ifdef PIP_CERT
export SSL_CERT_FILE ?= $(PIP_CERT)
endif
ifdef PIP_TRUSTED_HOST
export UV_INSECURE_HOST ?= $(PIP_TRUSTED_HOST)
endif
NO_PACKAGES = echo "error: the packages could not be installed, for the reason above; behind a proxy set HTTPS_PROXY, and" \
	"for an index of your own PIP_INDEX_URL (uv does not read pip.conf); then say make env again" && exit 1
# without byte code every job would compile torch anew
unexport PYTHONDONTWRITEBYTECODE
# the published studies, in the order in which all of them are made anew, and the configuration of each
PUBLISHED := paper paper_h100 utkface_folds sweeps_digits methods methods_utkface methods_digits
CONFIG_paper := config/ablations.yaml config/paper_published.yaml
CONFIG_paper_h100 := config/paper_h100.yaml
CONFIG_utkface_folds := config/utkface_folds.yaml
CONFIG_sweeps_digits := config/sweeps_digits.yaml
CONFIG_methods := config/methods.yaml
CONFIG_methods_utkface := config/methods.yaml config/methods_utkface.yaml
CONFIG_methods_digits := config/methods.yaml config/methods_digits.yaml
# ends a line of a recipe
define NEWLINE


endef
# the rules that make tables and figures from the metrics; `make figures` runs no other
REDRAWING_RULES := aggregate_results make_table make_ablations rank_methods choose_settings report_search \
	compare_with_paper compare_with_published plot_architecture plot_comparison plot_paper_bars plot_slopes \
	plot_tradeoff plot_cells plot_sweep
# one process more than cores, as some mostly wait
PYTEST = OMP_NUM_THREADS=1 $(BIN)/python -m pytest -n $$(($(CORES) + 1)) --maxprocesses 4
PAGE = $(SNAKEMAKE) pages --allowed-rules pages make_page
VERIFY = $(BIN)/python -m scripts.verify_results --results
REDRAW = $(SNAKEMAKE) figures --forcerun aggregate_results plot_architecture --allowed-rules figures $(REDRAWING_RULES)

.PHONY: help env anew demo paper watch status figures pages report bench verify unlock test longtest stress lint format \
	docs site lock clean
.DEFAULT_GOAL := help

help:  ## list the targets
	@sed -n 's/^\([a-z]*\):.*## /\1\t/p' $(MAKEFILE_LIST) | expand -t 12

env: $(READY)  ## make the virtual environment from requirements.lock

$(READY): requirements.lock pyproject.toml $(if $(INTACT),,anew)
	@test -n "$(PYTHON)" && $(PYTHON) $(SUPPORTED) || \
		{ echo "error: Python 3.11, 3.12 or 3.13 is needed; install one, or say make PYTHON=/path/to/python"; exit 1; }
	@test ! -e $(VENV) || test -e $(VENV)/pyvenv.cfg || \
		{ echo "error: $(VENV) is there and no virtual environment; remove it, or say make VENV=/another/folder"; exit 1; }
	@echo "Installing packages into $(VENV): about 6 GB, a minute with a fast network."
	@test "$(INTACT)" || { rm -rf $(VENV) && $(PYTHON) -m venv $(VENV); }
	@$(BIN)/python -m pip install --quiet --disable-pip-version-check uv==$(UV_VERSION) || { $(NO_PACKAGES); }
	@$(UV) pip sync --quiet --python $(BIN)/python requirements.lock || { $(NO_PACKAGES); }
	@$(UV) pip install --quiet --python $(BIN)/python --no-deps --no-build-isolation --editable .
	@printf '%s\n' "$$VENV_PATH" > $@

demo: $(READY)  ## the whole workflow on handwritten digits, in minutes on a CPU
	$(SNAKEMAKE) --configfile config/demo.yaml
	@echo
	@cat results/demo/tables/table1.md
	@echo
	@echo "The table compares teachers, trained on digits whose tint almost gives them away, with the students that MFD"
	@echo "distilled from them. DEO is the bias: the gap in accuracy between the tints, 0 where there is none. A student"
	@echo "should have a lower DEO than its teacher at about the same accuracy."
	@echo "To look at in a browser: results/demo/page.html; figures: results/demo/figures/, all tables:"
	@echo "results/demo/tables/, settings: config/demo.yaml"

paper: $(READY)  ## the paper's grid on CIFAR-10S and UTKFace, into results/reproduction
	$(SNAKEMAKE)
	@echo
	@cat results/reproduction/tables/table1.md
	@echo
	@echo "Tables: results/reproduction/tables/ (published_vs_own.md compares them with results/paper, the published"
	@echo "study, and paper_vs_reproduced.md with the paper). Figures: results/reproduction/figures/"

watch: $(READY)  ## show how far the running trainings are
	@$(BIN)/python -m scripts.watch_trainings

status: $(READY)  ## show what each study takes on the disk, and which trainings are running or were interrupted
	@$(BIN)/python -m scripts.show_studies

figures: $(READY)  ## make the published tables and figures anew from their metrics; trains nothing
	$(foreach study,$(PUBLISHED),@echo "results/$(study)"; $(REDRAW) --configfile $(CONFIG_$(study))$(NEWLINE))

pages: $(READY)  ## make the page of each published study, results/<study>/page.html, from its tables
	$(foreach study,$(PUBLISHED),@echo "results/$(study)"; $(PAGE) --configfile $(CONFIG_$(study))$(NEWLINE))
	@echo "To look at in a browser:"; ls -1 results/*/page.html

report: $(READY)  ## Snakemake's report of a finished study, as in make report CONFIG=config/demo.yaml: report.zip
	@for file in $(CONFIG); do test -f "$$file" || \
		{ echo "error: CONFIG: there is no file $$file; give the path of a study's configuration"; exit 1; }; done
	$(SNAKEMAKE) $(TARGET) $(if $(CONFIG),--configfile $(CONFIG)) --report report.zip || \
		{ echo "error: no report, for the reason above; of a study without its models there is one of the page alone:" \
		"say make pages, then make report with TARGET=pages"; exit 1; }

bench: $(READY)  ## measure speed and memory on an idle machine, and say which goals are met: results/bench/<processor>/
	started=$$(date +%s) && \
		$(BIN)/python -m benchmarks.training && \
		$(BIN)/python -m benchmarks.methods --rounds 1 && \
		$(BIN)/python -m benchmarks.inference && \
		$(BIN)/python -m benchmarks.memory && \
		$(BIN)/python -m benchmarks.jobs && \
		$(BIN)/python -m benchmarks.goals --seconds $$(($$(date +%s) - started + 1))

verify: $(READY)  ## recompute the published results, and name those that do not match
	$(foreach study,$(PUBLISHED),$(VERIFY) results/$(study) --configfile $(CONFIG_$(study))$(NEWLINE))

test: lint  ## style checks and all tests but the long ones
	$(PYTEST) -m "not long"

longtest: $(READY)  ## the long tests: conda, SLURM if installed, whole studies, interruptions, simulations, real images
	$(PYTEST) -m long

stress: $(READY)  ## kill small studies at random moments, and see that nothing is lost; KILLS=40 by default
	PYTHONPATH=.:tests/workflow:tests/slurm:tests/stress $(BIN)/python tests/stress/campaign.py \
		--kills $(or $(KILLS),40) $(if $(SLURM),--slurm)

lint: $(READY)  ## check style, layers and types
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile workflow
	$(BIN)/lint-imports
	$(BIN)/mypy

format: $(READY)  ## rewrite the code in the project's style
	$(BIN)/ruff check --fix .
	$(BIN)/ruff format .
	$(BIN)/snakefmt Snakefile workflow

docs: $(READY)  ## write the JSON schema and the tables of config/README.md from the settings
	$(BIN)/python -m scripts.describe_settings

site: $(READY)  ## build the documentation as a site in build/site, in about a minute; a warning is an error
	$(BIN)/python -m sphinx -E -W --keep-going -q -b html -c docs . build/site
	@echo "The site: build/site/index.html"

unlock: $(READY)  ## take away the lock that a Snakemake left that was killed; never while one is running
	$(SNAKEMAKE) --unlock

lock: $(READY)  ## renew requirements.lock from requirements.in
	UV_CUSTOM_COMPILE_COMMAND="make lock" $(UV) pip compile --universal --generate-hashes --python-version 3.11 \
		--no-emit-index-url --no-emit-find-links requirements.in --output-file requirements.lock

clean:  ## remove the environment and the caches; results stay
	rm -rf $(VENV) .pytest_cache .ruff_cache .mypy_cache .import_linter_cache .hypothesis *.egg-info
