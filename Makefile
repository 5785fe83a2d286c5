# The only entry a newcomer needs: `make study` sets up what is missing, runs the study and writes its report.

STUDY ?= default
OUTPUTS ?= outputs
ARGS ?=
PYTHON ?=
TRACKING_URI ?= $(MLFLOW_TRACKING_URI)
ADDRESS ?=
NUM_CPUS ?=
NUM_GPUS ?=
PACK_SIZE ?=
CHECKPOINTS ?=
PORT ?= 5000
FREE_GIB ?= 10

MAKEFLAGS += --no-print-directory --no-builtin-rules
.DEFAULT_GOAL := help
SHELL := /bin/sh

# One word for the shell, whatever it holds: it's.yaml -> 'it'\''s.yaml'.
quoted = '$(subst ','\'',$(1))'

RUN := .venv/bin/python
COMPILE = .venv/bin/uv pip compile pyproject.toml --universal --python-version 3.11 --generate-hashes --no-header --quiet
WHERE = --outputs $(call quoted,$(OUTPUTS)) $(if $(TRACKING_URI),--tracking-uri $(call quoted,$(TRACKING_URI)))
MACHINE = $(if $(ADDRESS),--address $(call quoted,$(ADDRESS))) $(MACHINE_OF_JOB)
HOW_MUCH = $(if $(NUM_CPUS),--num-cpus $(call quoted,$(NUM_CPUS))) $(if $(NUM_GPUS),--num-gpus $(call quoted,$(NUM_GPUS))) $(if $(PACK_SIZE),--pack-size $(call quoted,$(PACK_SIZE)))
MACHINE_OF_JOB = $(HOW_MUCH) $(if $(CHECKPOINTS),--checkpoints $(call quoted,$(CHECKPOINTS)))

# Whole files of tests, in the order of their folders: what a file builds for its tests is built once. One process more
# than there are cores, since many tests wait for Ray and for other programs.
AT_ONCE = --numprocesses "$$(expr "$$(getconf _NPROCESSORS_ONLN)" + 1)" --maxprocesses 4 --dist loadfile --no-loadscope-reorder

# A cluster's jobs are told of the TRACKING_URI that was said, and not of the MLFLOW_TRACKING_URI of this machine, which may be a file on it.
URI_OF_JOB = $(if $(filter command environment,$(origin TRACKING_URI)),$(if $(TRACKING_URI),--tracking-uri $(call quoted,$(TRACKING_URI))))

.PHONY: help setup study submit report compare curves plan status list doctor ui test test-slow test-system test-gpu check audit bench lock lock-cpu clean clean-results environment

help: ## this list
	@echo 'make TARGET [VARIABLE=value]'
	@echo
	@awk -F ':.*## ' '/^[a-z-]+:.*## / { printf "  %-14s %s\n", $$1, $$2 }' Makefile
	@echo
	@echo '  STUDY=default      a study by name (make list) or a YAML file'
	@echo '  OUTPUTS=outputs    the folder that holds everything a study writes'
	@echo '  TRACKING_URI=      an MLflow server; without it, a database in OUTPUTS'
	@echo '  ADDRESS=           a Ray cluster that is up; without it, this machine'
	@echo '  NUM_CPUS= NUM_GPUS=  how much of this machine a study may take'
	@echo '  PACK_SIZE=auto     trainings of one shape trained at once: one on a CPU, all that fit on a GPU'
	@echo '  CHECKPOINTS=       on a cluster: a folder or a URI that all nodes see; by default each node keeps its own'
	@echo '  PYTHON=            the Python (3.11 or newer) that .venv is made with'
	@echo '  PORT=5000          where the MLflow UI listens, on this machine alone'
	@echo '  ARGS=              more arguments for what the target runs'

setup: environment ## make .venv from requirements.lock, where it is missing or stale
	@echo '.venv is up to date. make study runs a study; make help lists the rest.'

study: environment ## run STUDY (or continue it), then write its report
	@$(RUN) -m study run $(call quoted,$(STUDY)) $(WHERE) $(MACHINE) --report $(ARGS)

submit: environment ## run STUDY and its report as a job of the Ray cluster at ADDRESS=http://HOST:8265
	@$(RUN) -m study submit $(call quoted,$(STUDY)) $(if $(ADDRESS),--address $(call quoted,$(ADDRESS))) $(URI_OF_JOB) $(ARGS) -- $(MACHINE_OF_JOB)

report: environment ## write the report of STUDY again, from MLflow
	@$(RUN) -m analysis all --study $(call quoted,$(STUDY)) $(WHERE) $(ARGS)

compare: environment ## set two studies side by side: A=study B=study (did anything move?)
	@test -n $(call quoted,$(A)) -a -n $(call quoted,$(B)) || { echo 'Name two studies: make compare A=default B=mine (make list names those that come with the project)' >&2; exit 2; }
	@$(RUN) -m analysis compare $(call quoted,$(A)) $(call quoted,$(B)) $(WHERE) $(ARGS)

curves: environment ## compare the curves of a file, or of what a tool left: FILE=curves.csv (docs/curves.md)
	@test -n $(call quoted,$(FILE)) || { echo 'Name a file: make curves FILE=curves.csv; docs/curves.md says what it holds' >&2; exit 2; }
	@$(RUN) -m analysis curves $(call quoted,$(FILE)) --outputs $(call quoted,$(OUTPUTS)) $(ARGS)

plan: environment ## what STUDY would train, how many trainings, about how long
	@$(RUN) -m study plan $(call quoted,$(STUDY)) --outputs $(call quoted,$(OUTPUTS)) $(HOW_MUCH) $(ARGS)

status: environment ## how far STUDY is
	@$(RUN) -m study status $(call quoted,$(STUDY)) --outputs $(call quoted,$(OUTPUTS)) $(ARGS)

list: environment ## the studies that come with the project
	@$(RUN) -m study list $(ARGS)

doctor: environment ## check whether this machine can run a study, and say what to do where it cannot
	@$(RUN) -m study doctor $(WHERE) $(if $(ADDRESS),--address $(call quoted,$(ADDRESS))) $(ARGS)

ui: environment ## open MLflow on this machine; Ctrl-C stops it
	@uri=$(call quoted,$(TRACKING_URI)); outputs=$(call quoted,$(OUTPUTS)); port=$(call quoted,$(PORT)); \
	case "$$uri" in \
	http://*|https://*) echo "The runs are on a server of their own; open $$uri"; exit 0;; \
	'') test -f "$$outputs/mlflow.db" || { echo "There is no $$outputs/mlflow.db yet: make study writes it." >&2; exit 1; };; \
	esac; \
	$(RUN) -c 'import socket, sys; s = socket.socket(); s.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1); s.bind(("127.0.0.1", int(sys.argv[1])))' "$$port" 2>/dev/null \
	|| { echo "Port $$port is not free on 127.0.0.1; name another: make ui PORT=5001" >&2; exit 1; }; \
	echo "MLflow will be at http://127.0.0.1:$$port in about ten seconds; Ctrl-C stops it. The studies in it:"; \
	$(RUN) -m study links $(WHERE) --server "http://127.0.0.1:$$port" || exit 1; \
	PYTHONWARNINGS=ignore MLFLOW_SERVER_ENABLE_JOB_EXECUTION=false MLFLOW_DISABLE_TELEMETRY=true \
	exec $(RUN) -m mlflow ui --host 127.0.0.1 --port "$$port" --workers 1 --uvicorn-opts '--lifespan off --log-level warning' \
	--backend-store-uri "$${uri:-sqlite+pysqlite:///$$(printf %s "$$outputs/mlflow.db" | sed 's/%/%25/g; s/?/%3F/g')}" $(ARGS)

test: environment ## the tests that need nothing but .venv
	@$(RUN) -m pytest -q $(AT_ONCE) $(ARGS)

test-slow: environment ## the tests that take minutes
	@$(RUN) -m pytest -q -m 'slow and not system and not gpu' $(ARGS)

test-system: environment ## the tests that need Chromium or PostgreSQL (apt install chromium postgresql)
	@$(RUN) -m pytest -q -m 'system' $(ARGS)

test-gpu: environment ## the tests that need an NVIDIA GPU
	@$(RUN) -m pytest -q -m 'gpu' $(ARGS)

check: environment ## ruff, mypy --strict, import rules
	@status=0; \
	$(RUN) -m ruff check --quiet . || status=1; \
	$(RUN) -m ruff format --check --quiet . || { status=1; echo 'Not formatted; this formats: .venv/bin/ruff format .' >&2; }; \
	$(RUN) -m mypy --no-error-summary || status=1; \
	.venv/bin/lint-imports --no-logo || status=1; \
	exit $$status
	@echo 'ruff, mypy and the import rules are content.'

audit: environment ## licences and pins of the locked packages; their known vulnerabilities where a database answers (ARGS=--require-database)
	@$(RUN) tools/audit.py $(ARGS)

bench: environment ## measure speed against peers and the machine (about an hour; ARGS='step --quick', ARGS=likelihood)
	@$(RUN) -m benchmarks $(ARGS)

lock: environment ## renew requirements.lock after a change of dependencies (ARGS=--upgrade for newer versions)
	@$(COMPILE) --extra dev --extra cluster -o requirements.lock $(ARGS)
	@$(COMPILE) --extra cluster --constraints requirements.lock -o docker/requirements.lock
	@echo 'requirements.lock and the image'"'"'s own, docker/requirements.lock, are renewed; the next make remakes .venv where it changed.'

lock-cpu: environment ## make docker/requirements-cpu.lock, of an image without CUDA (needs the index of torch's own builds)
	@$(COMPILE) --extra cluster --constraints requirements.lock --torch-backend cpu --index-strategy unsafe-best-match -o docker/requirements-cpu.lock $(ARGS)
	@echo 'Build with it: docker build -f docker/Dockerfile --build-arg LOCK=docker/requirements-cpu.lock --build-arg PIP_EXTRA_INDEX_URL=... -t vae-study .'

clean: ## remove caches and what builds leave; results stay
	@rm -rf build dist *.egg-info .mypy_cache .ruff_cache .pytest_cache .import_linter_cache .hypothesis
	@find . -name __pycache__ -type d -not -path './.venv/*' -prune -exec rm -rf {} +

clean-results: ## remove the trainings, runs and reports in OUTPUTS, after a question; downloaded data stay
	@outputs=$(call quoted,$(OUTPUTS)); test -d "$$outputs" || { echo "There is no $$outputs."; exit 0; }; \
	for lock in "$$outputs"/locks/*.lock; do \
	if test -f "$$lock" && command -v flock >/dev/null && ! flock --nonblock "$$lock" true; then \
	echo "A study is running in $$outputs ($$(cat "$$lock")): nothing was removed. Stop it first (Ctrl-C)." >&2; exit 1; \
	fi; \
	done; \
	printf 'Remove all trainings, MLflow runs and reports in %s (%s)? Type yes: ' "$$outputs" "$$(du -sh "$$outputs" | cut -f1)"; \
	read -r answer; \
	test "$$answer" = yes || { echo 'Nothing was removed.'; exit 0; }; \
	cd "$$outputs" && rm -rf mlflow.db mlflow.db-wal mlflow.db-shm trainings artifacts ray reports locks logs checkpoints && echo 'Removed.'

# The Python that makes .venv: the one named, or the first of these that is there and new enough.
environment:
	@for python in $(if $(PYTHON),$(call quoted,$(PYTHON)),.venv/bin/python python3 python3.13 python3.12 python3.11 python3.14 python); do \
	if "$$python" -c 'import sys; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then \
	exec "$$python" -I tools/environment.py $(if $(PYTHON),--this-python) --free-gib $(call quoted,$(FREE_GIB)); \
	fi; \
	done; \
	found=$$($(if $(PYTHON),$(call quoted,$(PYTHON)),python3) -V 2>&1) || found='no Python'; \
	echo "Python 3.11 or newer is needed; found $$found. Install one (Debian, Ubuntu: sudo apt install python3 python3-venv) or name one: make PYTHON=/path/to/python3.11" >&2; \
	exit 1
