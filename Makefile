# New API Monitor. What is missing on the machine is fetched into .venv/ (Python packages, by pip)
# and .tools/ (servers, by apt-get download); nothing is installed on the machine.

# The interpreter that .venv/ is made with; empty: the first Python 3.11 or newer.
PYTHON ?=
# Test processes (half of a test is waiting, so twice the processors), and more arguments for pytest: make test PYTEST_ARGS='-k exactness -x'
JOBS ?= 4
PYTEST_ARGS ?=

BIN := .venv/bin
VENV := .venv/.complete$(subst /,-,$(PYTHON))
UV := .tools/uv/bin/uv
AUDIT := .tools/audit/bin/pip-audit

export PYTHON
unexport PYTHONHOME PYTHONPATH
.DEFAULT_GOAL := help
.DELETE_ON_ERROR:

.PHONY: help
help: ## say what there is to make
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "make %-13s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

.PHONY: venv
venv: $(VENV) ## make .venv/ with pinned Python packages

$(VENV): requirements/dev.txt pyproject.toml tools/venv.sh tools/apt.sh
	@tools/venv.sh
	@touch $@

.PHONY: servers
servers: ## unpack Prometheus, Alertmanager, MariaDB, PostgreSQL into .tools/ where missing
	@tools/servers.sh

.PHONY: demo
demo: $(VENV) ## run everything on a simulated gateway until Ctrl-C
	@tools/servers.sh prometheus alertmanager
	@$(BIN)/newapi-demo run

.PHONY: env
env: ## make .env for Docker, with secrets that are made up
	@tools/env.sh

.PHONY: lint
lint: $(VENV) ## check style and types
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/mypy

.PHONY: format
format: $(VENV) ## put the code into shape
	$(BIN)/ruff check --fix
	$(BIN)/ruff format

.PHONY: test
test: lint servers ## all tests, on real servers
	$(BIN)/pytest -n $(JOBS) --dist loadfile --no-loadscope-reorder $(PYTEST_ARGS)

# A newer release of Debian, whose Prometheus, Alertmanager and VictoriaMetrics are tried.
SUITE ?= forky
.PHONY: test-versions
test-versions: $(VENV) servers ## the tests of alerts on servers of another release (SUITE=forky)
	@versions=$$(tools/versions.sh $(SUITE)) && env $$versions \
		$(BIN)/pytest -n $(JOBS) --dist loadfile tests/test_rules_prometheus.py tests/test_rules_prometheus_monitor.py \
		tests/test_vmalert.py tests/test_render.py tests/test_telegram.py tests/test_alert_chain.py $(PYTEST_ARGS)

.PHONY: torture
torture: $(VENV) servers ## kill, cut and race the programs on purpose (long)
	$(BIN)/pytest -m torture --timeout 0 $(PYTEST_ARGS)

.PHONY: soak
soak: $(VENV) servers ## traffic for hours, watched for growth and drift (very long)
	$(BIN)/pytest -m soak --timeout 0 $(PYTEST_ARGS)

.PHONY: bench
bench: $(VENV) servers ## measure (long)
	$(BIN)/python -m benchmarks

.PHONY: audit
audit: $(AUDIT) ## look for known weaknesses in the pinned Python packages
	$(AUDIT) --disable-pip --require-hashes --strict $(foreach file,$(wildcard requirements/*.txt),-r $(file))

$(AUDIT): | $(VENV)
	@echo "audit: fetching pip-audit, by pip, into $(CURDIR)/.tools/audit"
	@$(BIN)/python -m venv --without-pip .tools/audit
	@$(BIN)/pip --quiet --python .tools/audit/bin/python install pip-audit==2.10.1

.PHONY: lock
lock: $(UV) ## pin the newest versions that pyproject.toml allows
	$(UV) pip compile --upgrade $(LOCK) --extra demo --output-file requirements/runtime.txt
	$(UV) pip compile --upgrade $(LOCK) --constraints requirements/runtime.txt \
		--extra demo --group dev --output-file requirements/dev.txt
	$(UV) pip compile $(LOCK_ALL) --constraints requirements/dev.txt \
		--group build --output-file requirements/build.txt

LOCK_ALL := --quiet --universal --python-version 3.11 --generate-hashes \
	--no-header --no-emit-index-url
LOCK := pyproject.toml $(LOCK_ALL)

$(UV): | $(VENV)
	@echo "lock: fetching uv, by pip, into $(CURDIR)/.tools/uv"
	@$(BIN)/python -m venv --without-pip .tools/uv
	@$(BIN)/pip --quiet --python .tools/uv/bin/python install uv

.PHONY: clean
clean: ## remove everything that make made
	rm -rf .venv .tools .mypy_cache .ruff_cache .pytest_cache .hypothesis build dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
