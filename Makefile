# `make run` and `make test` set up everything on a fresh machine that has Python 3.11, make and a C-less shell.
PYTHON ?= python3.11
CONFIG ?= configs/shop.toml
SET ?=
BIN := .venv/bin

.PHONY: setup run test lint bench rehearse peers clean

setup: .venv/.installed

.venv/.installed: requirements.lock
	@command -v $(PYTHON) >/dev/null || { echo "$(PYTHON) not found: install Python 3.11, or say PYTHON=... to make" >&2; exit 2; }
	test -x $(BIN)/python || $(PYTHON) -m venv .venv
	$(BIN)/python -m pip install --quiet --requirement requirements.lock
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
	.cache/peers/bin/python -m pip install --quiet --no-deps --requirement benchmarks/peers.lock
	$(BIN)/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))' \
		> $$(.cache/peers/bin/python -c 'import sysconfig; print(sysconfig.get_path("platlib"))')/project.pth
	@touch $@

clean:
	rm -rf .cache .mypy_cache .ruff_cache .pytest_cache .hypothesis runs
