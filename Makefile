# Two commands are enough: `make run` measures on this host, `make test` proves the kit. Neither asks a question.
VENV := .venv/bin
OUT := out/local
# The first is read and measured at once; the others are prepared while its table can be read, then all take turns.
MODELS ?= plate-v1,ppocrv3
comma := ,
FIRST := $(firstword $(subst $(comma), ,$(MODELS)))
# Without its compiled modules Paddle takes four seconds of processor time to be imported instead of one, in each process.
unexport PYTHONDONTWRITEBYTECODE

.PHONY: help run test pytest setup setup-boards setup-test lint docs clean bench-self

help:
	@echo "make run    set up, build, read plates and benchmark on this host; the report lands in $(OUT)/"
	@echo "            (MODELS=plate-v1: without the published PP-OCRv3 beside it)"
	@echo "make test   set up and run all tests"
	@echo "make setup  only set up     make lint   ruff, mypy, docstrings, import directions"
	@echo "make setup-boards   compilers, ssh, adb and what a virtual board needs"
	@echo "make docs   the documentation as pages in build/site"
	@echo "make clean  remove what make made in this folder (caches: ~/.cache/plate-edge)"

run: setup
	@$(VENV)/edge run --device local --models $(FIRST) edge/plate/countries/cn/samples/*.jpg
ifeq ($(MODELS),$(FIRST))
	@$(VENV)/bench run --device local --plan quick --models $(FIRST) --out $(OUT) --force
else
	@$(VENV)/bench run --device local --plan quick --models $(FIRST) --out $(OUT) --force --no-history
	@echo "==> now $(MODELS) side by side (^C leaves the report above as it is; MODELS=$(FIRST) does without)"
	@$(VENV)/edge flash --device local --models $(MODELS)
	@$(VENV)/bench run --device local --plan quick --models $(MODELS) --out $(OUT) --force
endif

setup:
	@sh scripts/setup.sh run

setup-boards:
	@sh scripts/setup.sh boards

setup-test:
	@sh scripts/setup.sh test

test: setup-test
	@$(MAKE) --no-print-directory -j 2 lint pytest

# One process more than there are processors: boards' tests wait for one another. The longest begin first (tests/conftest.py).
pytest: setup-test
	@$(VENV)/python -m pytest -n $$(($$(nproc) + 1)) --maxprocesses 4 --dist loadgroup --no-loadscope-reorder

# Twenty minutes where nothing else runs: the bench measures itself, and counts instructions.
bench-self: setup-test
	@$(VENV)/python scripts/bench_self.py --out out/loop/self --copy docs/results/bench-self.json
	@$(VENV)/python -m pytest -q -s tests/bench/counting/test_bench_count.py
	@$(VENV)/python -m pytest -q -s -m timed

lint: setup-test
	@$(VENV)/ruff check .
	@$(VENV)/mypy
	@$(VENV)/interrogate -q -c setup.cfg edge convert train bench scripts
	@$(VENV)/lint-imports
	@sh scripts/lint_cpp.sh

docs: setup-test
	@NO_MKDOCS_2_WARNING=1 $(VENV)/mkdocs build --strict
	@echo build/site/index.html

clean:
	rm -rf .venv .uv build dist out *.egg-info .mypy_cache .ruff_cache .pytest_cache .hypothesis .import_linter_cache
