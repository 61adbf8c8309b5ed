# `make run` and `make test` set up everything on a fresh machine that has Python 3.11, make and a C-less shell.
PYTHON ?= python3.11
CONFIG ?= configs/shop.toml
SET ?=
RUN ?= runs/shop
BIN := .venv/bin

.PHONY: setup run test lint bench rehearse peers demo test-demo clean

setup: .venv/.installed

# Bytecode is compiled where it is first imported, most of it never: installing takes half as long.
.venv/.installed: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say PYTHON=... to make" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --no-compile --requirement requirements.lock
	@touch $@

run: setup
	$(BIN)/python -m scripts.run --config $(CONFIG) $(foreach pair,$(SET),--set $(pair))

test: lint
	$(BIN)/python -m pytest -q -n auto --dist loadfile

lint: setup
	$(BIN)/ruff check .
	$(BIN)/ruff format --check .
	$(BIN)/mypy

bench: setup
	for job in reading covisitation candidates index features prediction shop stages; do $(BIN)/python -m benchmarks.$$job || exit; done

rehearse: setup
	$(BIN)/python -m benchmarks.rehearse

# Other people's recommenders, for benchmarks.ranking: they want an older NumPy, but take torch from the project.
peers: .cache/peers/.installed

.cache/peers/.installed: .venv/.installed benchmarks/peers.lock
	rm -rf .cache/peers
	$(BIN)/python -m venv .cache/peers
	.cache/peers/bin/python -m pip install --quiet --no-compile --no-deps --requirement benchmarks/peers.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))' \
		> $$(.cache/peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/project.pth
	@touch $@

# The page on which a finished run is asked. Gradio wants an older Pillow, but takes all else from the project.
demo: .cache/demo-venv/.installed
	.cache/demo-venv/bin/python -m scripts.demo --run $(RUN)

test-demo: .cache/demo-venv/.installed
	.cache/demo-venv/bin/python -m pytest -q tests/demo

.cache/demo-venv/.installed: .venv/.installed scripts/demo/requirements.lock
	rm -rf .cache/demo-venv
	$(BIN)/python -m venv .cache/demo-venv
	.cache/demo-venv/bin/python -m pip install --quiet --no-compile --no-deps --requirement scripts/demo/requirements.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))' \
		> $$(.cache/demo-venv/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/project.pth
	@touch $@

clean:
	rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis runs
