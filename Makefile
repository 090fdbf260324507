# `make` lists the targets. Each works alone on a fresh clone: it first sets up .venv, once.
#
#   PROFILE=cpu|gpu   which lock of requirements/ to install (what .venv holds already, else cpu: no CUDA)
#   PYTHON=…          the Python 3.11 to build .venv with (python3.11)
#   ARGS=…            passed on: `make test ARGS="-k extract"`, `make repro ARGS="--dry"`

SHELL := /bin/bash
.DEFAULT_GOAL := help
PROFILE ?= $(or $(shell cat .venv/profile 2> /dev/null),cpu)
PYTHON ?= python3.11
ARGS ?=

export PYTHON
# DVC's stages are `python -m …`: theirs must be .venv's.
IN_VENV := export PATH="$(CURDIR)/.venv/bin:$$PATH" DVC_NO_ANALYTICS=1;
SHOW_RESULTS := python -m cli show
STOP_SERVER := python -m cli server stop

.PHONY: help setup repro test lint check plots diff bench bench-client bench-models bench-optimize bench-report bench-decontaminate bench-transcode bench-export screenshots stop clean distclean

help: ## List the targets
	@grep -E '^[a-z-]+:.*## ' $(firstword $(MAKEFILE_LIST)) | awk -F ':.*## ' '{ printf "  make %-12s %s\n", $$1, $$2 }'

setup: ## Build .venv from requirements/$PROFILE.lock (cpu or gpu); does nothing when it fits
	@requirements/install.sh $(PROFILE)

repro: setup ## Run every stage whose inputs changed, then show the results
	@$(IN_VENV) python -m cli check \
	&& dvc repro $(ARGS) \
	&& $(SHOW_RESULTS)

# A process a core, each with the tests of whole files, since what is slow there is made once a file, in the order of
# tests/conftest.py.
test: setup ## Run the tests, on all cores
	@$(IN_VENV) python -m pytest --numprocesses auto --dist loadfile --no-loadscope-reorder $(ARGS)

lint: setup ## Check style, formatting and types
	@$(IN_VENV) ruff check . && ruff format --check . && mypy audio_reasoning cli stages

check: setup ## Check the parameters and dvc.yaml before anything expensive
	@$(IN_VENV) python -m cli check $(ARGS)

plots: setup ## Draw the metrics and comparisons as a web page
	@$(IN_VENV) dvc plots show $(ARGS)

diff: setup ## Compare two Git revisions as Markdown: make diff A=main B=workspace (HEAD~1, workspace)
	@$(IN_VENV) python -m cli diff "$(or $(A),HEAD~1)" "$(or $(B),workspace)" $(ARGS)

bench: setup ## Measure the pipeline's speed
	@$(IN_VENV) python -m benchmarks.run $(ARGS)

bench-client: setup ## Measure the client beside a bare loop, and beside other tools where they are installed
	@$(IN_VENV) python -m benchmarks.client --peers $(ARGS)

bench-models: setup ## Measure trained models: presets, three seeds, training speed
	@$(IN_VENV) python -m benchmarks.models $(ARGS)

bench-optimize: setup ## Measure prompt optimisation: both searches, three seeds
	@$(IN_VENV) python -m benchmarks.optimize $(ARGS)

bench-report: setup ## Measure how long the report takes to build and to open, at full size
	@$(IN_VENV) python -m benchmarks.report $(ARGS)

bench-decontaminate: setup ## Measure which planted copies of test clips are found, and how fast sources are combined
	@$(IN_VENV) python -m benchmarks.decontaminate $(ARGS)

bench-transcode: setup ## Measure transcoding beside bare decoders
	@$(IN_VENV) python -m benchmarks.transcode $(ARGS)

bench-export: setup ## Measure the memory that merging an adapter into a 4 GB checkpoint takes
	@$(IN_VENV) python -m benchmarks.export $(ARGS)

screenshots: setup ## Take the pictures of the report in docs/, in Chromium
	@$(IN_VENV) python -m stages.screenshot $(ARGS)

stop: ## Stop the model server, if one runs
	@[ ! -x .venv/bin/python ] || { $(IN_VENV) $(STOP_SERVER); }

# Only what dvc.lock names as an output: a file that somebody put beside them stays.
clean: ## Remove the outputs that Git does not hold (`dvc checkout` restores them) and tools' caches
	-@$(MAKE) --no-print-directory stop
	@[ ! -f dvc.lock ] || awk '/^    [a-z]+:/ { outs = /outs:/ } outs && /- path: (data\/|models\/|reports\/(index.html|report_files))/ { print $$3 }' dvc.lock \
	    | xargs -r rm -rf
	@rm -rf build dvc_plots .hypothesis .mypy_cache .pytest_cache .ruff_cache *.egg-info
	@find audio_reasoning cli stages tests benchmarks -name __pycache__ -prune -exec rm -rf {} +

distclean: clean ## Remove also .venv, the response cache and DVC's cache: all is then computed again
	@rm -rf .venv .cache .dvc/cache .dvc/tmp
