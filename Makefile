# Everyday commands. Everything runs in .venv, which `make env` builds from pinned versions.
PYTHON ?= python3
BIN := .venv/bin
CORES ?= all
# Jobs that run at the same time would slow each other down if each used all cores.
export OMP_NUM_THREADS ?= 1

.PHONY: env demo format lint types schema envs readme docs results numbers test-fast test test-clip test-text test-slurm mini mini-text mini-own smoke every-method bench check clean-env

env: .venv/.done

.venv/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv
	$(BIN)/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,hub,slurm]'
	touch $@

demo: env                ## build the default benchmark and print its LDS table
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) --quiet rules host
	@cat results/digits/report/lds.txt
	@echo "Report: $(CURDIR)/results/digits/report/index.html"

format: env
	$(BIN)/ruff check --fix . && $(BIN)/ruff format . && $(BIN)/snakefmt Snakefile rules

lint: env
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/snakefmt --check Snakefile rules
	$(BIN)/lint-imports
	$(BIN)/snakemake --lint

types: env
	$(BIN)/basedpyright

schema: env              ## write schemas/ from the types of config and report, and the registries
	$(BIN)/python -m diffattr.schema schemas

envs: env                ## write envs/diffattr.yaml from pyproject.toml and constraints.txt
	$(BIN)/python envs/pin.py

readme: env              ## put the results of the last demo into README.md
	$(BIN)/python docs/update_readme.py

docs: env                ## write the registries' docstrings into docs/methods.md
	$(BIN)/python docs/update_methods.py

results: env             ## put the results of the standard benchmarks into docs/results and README.md
	$(BIN)/python docs/update_results.py

numbers: env             ## record every stage's numbers after RESULT_VERSION was raised
	$(BIN)/python tests/record_numbers.py

test-fast: env           ## under two minutes
	$(BIN)/python -m pytest -q -n 2 -m "not slow and not workflow"

test-clip: .venv-clip/.done  ## CLIP embeddings
	.venv-clip/bin/python -m pytest -q tests/features/test_clip.py

# Separate from .venv: torchvision requires a build of torch of 5.6 GB.
.venv-clip/.done: pyproject.toml constraints-clip.txt
	$(PYTHON) -m venv .venv-clip
	.venv-clip/bin/pip install --quiet --no-cache-dir --disable-pip-version-check -c constraints-clip.txt -e '.[dev,clip]'
	touch $@

test-text: .venv-text/.done  ## text-to-image models
	.venv-text/bin/python -m pytest -q tests/text_to_image

# Separate from .venv: with peft and transformers every job takes twice as long to start.
.venv-text/.done: pyproject.toml constraints.txt
	$(PYTHON) -m venv .venv-text
	.venv-text/bin/pip install --quiet --disable-pip-version-check -c constraints.txt -e '.[dev,slurm,text-to-image]'
	touch $@

mini: env                ## the rules of configs/cifar2.yaml on a small drawn data set
	$(BIN)/python configs/mini/stand_ins.py cifar10 data/mini/cifar10
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) --quiet rules host --configfile configs/mini/cifar2.yaml

mini-text: .venv-text/.done  ## the rules of configs/artbench2.yaml on a small drawn data set
	.venv-text/bin/python configs/mini/stand_ins.py artbench data/mini/artbench
	.venv-text/bin/python configs/mini/stand_ins.py pipeline data/mini/pipeline
	PATH="$(CURDIR)/.venv-text/bin:$$PATH" snakemake --cores $(CORES) --quiet rules host --configfile configs/mini/artbench2.yaml

mini-own: env            ## the rules of configs/own-model.yaml on a small untrained pipeline and drawn images
	$(BIN)/python configs/mini/stand_ins.py ddpm data/mini/ddpm
	$(BIN)/python configs/mini/stand_ins.py images data/mini/images
	$(BIN)/python configs/mini/stand_ins.py images data/mini/queries --seed 1
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) --quiet rules host --configfile configs/mini/own-model.yaml

test: env                ## all tests, on two cores
	$(BIN)/python -m pytest -q -n 2 --dist worksteal

test-slurm: env          ## benchmarks (K=cifar2: one of them) on a real one-node SLURM, installed if missing (Debian, root)
	@command -v sbatch >/dev/null || [ "$$(id -u)" != 0 ] || [ -e /etc/slurm/slurm.conf ] || { \
	  apt-get update -qq && \
	  DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends slurm-wlm munge >/dev/null; }
	$(BIN)/python -m pytest -q -n 0 -rs tests/slurm $(if $(K),-k $(K))

smoke: env               ## the whole workflow on the smallest benchmark
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) --quiet rules host --configfile configs/smoke.yaml

every-method: env        ## every method, output function and kind of model, at tiny sizes
	PATH="$(CURDIR)/$(BIN):$$PATH" snakemake --cores $(CORES) --quiet rules host --configfile configs/every-method.yaml

bench: env               ## all scripts in benchmarks/: hours, after a finished demo
	for script in $$(ls benchmarks/*.py | grep -v common.py); do $(BIN)/python $$script || exit 1; done

check: lint types test test-clip test-text smoke every-method

clean-env:
	rm -rf .venv .venv-clip .venv-text
