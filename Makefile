# The front door. `make` shows what there is; every target installs what it lacks first.

SHELL := /bin/bash
.DEFAULT_GOAL := help
MAKEFLAGS += --no-print-directory

PYTHON ?= python3
LAB ?= lab
NODES ?= 3
NODE ?= 1
CMD ?= exec bash
PROVIDER ?=
CRYPTO ?=
TOKEN ?=
LINKS ?=
QDEVICE ?=
SWITCH ?=
DISK ?=
TEST_LIMIT_S ?= 870
VM_NODES ?= 1
TEST_LEVELS := $(wildcard $(addprefix tests/,unit property golden sim fuse cluster e2e))

BIN := .venv/bin
PMXCFS_LAB := $(BIN)/pmxcfs-lab --lab $(LAB)
LAB_OPTIONS = $(if $(filter on,$(CRYPTO)),--crypto) $(if $(TOKEN),--token $(TOKEN)) $(if $(LINKS),--links $(LINKS)) \
    $(if $(filter 1 on,$(QDEVICE)),--qdevice) $(if $(filter 1 on,$(SWITCH)),--switch) $(if $(filter 1 on,$(DISK)),--disk)
SIM_OPTIONS = $(if $(SEED),--seed $(SEED)) $(if $(STEPS),--steps $(STEPS)) \
    $(if $(filter command environment,$(word 1,$(origin NODES))),--nodes $(NODES))
export PYTHON PROVIDER
# What makes sure of a container engine, if the provider needs one.
ENGINE := $(if $(filter docker,$(PROVIDER)),ci/docker.sh)

# Every target here is one of those that `make help` lists.
.PHONY: $(shell sed -n 's/^\([a-z0-9-]*\):.*\#\#.*/\1/p' $(firstword $(MAKEFILE_LIST)))

help: ## this text
	@echo 'pmxcfs: the Proxmox cluster file system as a Python daemon, and a lab of clusters to try it in.'
	@echo
	@echo '  make lab-up     three nodes on this machine, from nothing (root, Debian 12 or 13)'
	@echo '  make test       every test'
	@echo
	@awk -F ':.*## ' '/^[a-z0-9-]+:.*## / { printf "  %-16s %s\n", $$1, $$2 }' $(MAKEFILE_LIST)

setup: ## Debian packages, .venv and the built extension (the others call it; PYTHON=python3.12 chooses)
	@ci/setup.sh

compile: setup ## what every change runs through, with mypyc, the rest to bytecode; setup does it once, the daemon runs the sources after a change of them
	@$(BIN)/python -m pmxcfs.compile_build && $(BIN)/python -m compileall -q pmxcfs

lock: ## pin the Python packages anew, with hashes, where pyproject.toml asks for it; UPGRADE=1 takes the newest of all
	@ci/lock.sh

check: setup ## ruff, mypy --strict and the import layers, under a minute
	@ci/check.sh

format: setup ## put the code into its form
	@$(BIN)/ruff format .
	@$(BIN)/ruff check --fix .

test: setup ## every test: unit, property, golden, simulator, mount, cluster, end to end (at most 15 minutes)
	@timeout --foreground --kill-after=20 $(TEST_LIMIT_S) \
	    $(BIN)/pytest --require=root,fuse,corosync,rrdcached $(TEST_LEVELS) $(ARGS) \
	    || { status=$$?; [ $$status != 124 ] || echo 'make test: no end within $(TEST_LIMIT_S) s'; exit $$status; }

mixed: setup ## every scenario in clusters that run the C daemon too: PMXCFS_REFERENCE=path (ARGS='-k healing'), 40 minutes
	@ci/mixed.sh $(ARGS)

sim: setup ## long runs of the simulator, then with fsyncs and power cuts, then of the status: SEED=1 STEPS=100000 NODES=5 (else 3 to 5)
	@$(BIN)/python -m tests.sim.soak $(SIM_OPTIONS)
	@$(BIN)/python -m tests.sim.durable_soak $(SIM_OPTIONS)
	@$(BIN)/python -m tests.sim.status_soak $(SIM_OPTIONS)

sim-programs: setup ## hypothesis makes up programs for the simulator, and shortens one that fails: SEED=1 EXAMPLES=1000
	@$(BIN)/python -m tests.sim.programs $(if $(SEED),--seed $(SEED)) $(if $(EXAMPLES),--examples $(EXAMPLES))

soak: setup ## chaos on a lab of five nodes for a long time: MINUTES=60 SEED=7 NODES=5, ARGS='--binary /path/to/pmxcfs'
	@$(BIN)/pmxcfs-lab run --minutes $(or $(MINUTES),60) $(if $(SEED),--seed $(SEED)) \
	    --nodes $(if $(filter command environment,$(word 1,$(origin NODES))),$(NODES),5) $(ARGS)

run-selftest: setup ## plant a bug for each validator of the lab's runs: each must be found, in about eight minutes
	@$(BIN)/python -m pmxcfs_lab.runs.selftest $(ARGS)

soak-mount: setup ## random operations on a mount of its own, mappings among them, against files in memory: SEED=1 OPERATIONS=100000
	@$(BIN)/python -m tests.fuse.soak_alone $(if $(SEED),--seed $(SEED)) $(if $(OPERATIONS),--ops $(OPERATIONS))

staleness: setup ## readers on three nodes against writers on all: nobody reads what was replaced: READS=1000000
	@STALENESS_READS=$(or $(READS),200000) $(BIN)/pytest -s --require=root,fuse,corosync tests/e2e/test_staleness.py

sim-selftest: setup ## plant bugs, one after the other: a table of which claim of the simulator finds each
	@$(BIN)/python -m tests.sim.selftest

mutants: setup ## change the exact code bit by bit, see the tests fail: MUTANTS=200 draws so many (SEED=1), MODULES='pmxcfs/memdb/*'
	@nice $(BIN)/python -m tests.mutants.run $(if $(MUTANTS),--count $(MUTANTS)) $(if $(SEED),--seed $(SEED)) \
	    $(if $(MODULES),--modules '$(MODULES)') $(if $(WORKERS),--workers $(WORKERS))

bench: compile ## the mount's operations and IPC calls per second beside the reference's, which PMXCFS_REFERENCE names
	@$(BIN)/python -m bench.fs $(ARGS)
	@[ -z "$$PMXCFS_REFERENCE" ] || $(BIN)/python -m bench.ipc

bench-ping-pong: compile ## changes of one message beside what corosync alone carries; PMXCFS_REFERENCE names the reference
	@$(BIN)/python -m bench.ping_pong $(ARGS)

bench-life: compile ## start, joining, memory and idling beside the reference, which PMXCFS_REFERENCE names: ARGS='--turns 1'
	@$(BIN)/python -m bench.life $(ARGS)

bench-growth: compile ## latencies in trees of 100 to 100 000 files, in clusters of 3 to 9 nodes: ARGS='--nodes-max 5'
	@$(BIN)/python -m bench.growth $(ARGS)

long-run: compile ## three nodes under everyday load, faster, and whether anything grows: MINUTES=60 SPEED=20 (ARGS='--svg FILE')
	@$(BIN)/python -m bench.long_run $(if $(MINUTES),--minutes $(MINUTES)) $(if $(SPEED),--speed $(SPEED)) $(ARGS)

bench-history: compile ## what the history of changes costs a write: ARGS='--turns 5 --writes 2000'
	@$(BIN)/python -m bench.history $(ARGS)

bench-check: compile ## whether a ratio to the reference, PMXCFS_REFERENCE, has fallen behind the recorded one
	@mkdir -p build && $(BIN)/python -m bench.fs --out build/figures.json $(ARGS) && \
	    $(BIN)/python -m bench.check build/figures.json

e2e: setup ## the tests on labs alone; PROVIDER=docker runs them in containers, starting and stopping the engine (ARGS='-k healing')
	@$(if $(ENGINE),$(ENGINE) run) $(BIN)/pytest --require=root,fuse,corosync --thorough tests/e2e $(ARGS)

e2e-containers: setup ## the part of make e2e PROVIDER=docker that CI runs: image, cluster, locks, losses, a recorded database
	@PROVIDER=docker ci/docker.sh run $(BIN)/pytest --require=root,fuse,corosync \
	    $(patsubst %,tests/e2e/test_%.py,cluster lab locks losses recorded_database) $(ARGS)

report-test: setup ## the lab's report in a real browser, Chromium without a screen (installs it on Debian)
	@ci/want.sh chromedriver chromium chromium-driver fonts-dejavu-core && $(BIN)/pytest --require=chromium tests/report $(ARGS)

engine: ## install and start a container engine, for PROVIDER=docker
	@ci/docker.sh start

engine-stop: ## stop it again, if it was started here and runs no container
	@ci/docker.sh stop

vagrant-validate: ## check lab/Vagrantfile for 3, 4 and 5 nodes (installs vagrant on Debian)
	@ci/want.sh vagrant vagrant
	@cd lab && for nodes in 3 4 5; do NODES=$$nodes VAGRANT_CHECKPOINT_DISABLE=1 vagrant validate --ignore-provider || exit; done

vm-test: setup ## lab/provision.sh in a real virtual machine, qemu without KVM, half an hour: VM_NODES=3 for a cluster
	@NODES=$(VM_NODES) ci/vm-test.sh

lab-up: setup ## start a cluster: NODES=3 (1 to 9), LAB=name for one beside another, CRYPTO=on TOKEN=1000 LINKS=2 QDEVICE=1 SWITCH=1 DISK=1, PROVIDER=docker or vagrant
	@$(if $(ENGINE),$(ENGINE) start)
	@$(PMXCFS_LAB) up --nodes $(NODES) $(LAB_OPTIONS)

lab-status: setup ## a table of the nodes: corosync, quorum, sync state, tree version, equal or not
	@$(PMXCFS_LAB) status

lab-watch: setup ## the same live, with faults and the calls of a run that goes on; Ctrl-C ends it
	@$(PMXCFS_LAB) watch

lab-exec: setup ## run a command on a node: NODE=2 CMD='ls /etc/pve >/tmp/list'
	@$(PMXCFS_LAB) exec $(NODE) -- sh -c '$(subst ','\'',$(value CMD))'

lab-down: setup ## stop the cluster and remove what it left
	@$(PMXCFS_LAB) down
	@ci/docker.sh stop

install: ## install the commands, their manual and the unit: PREFIX=/usr/local, DESTDIR=, PYTHON=python3 (docs/INSTALL.md)
	@packaging/install.sh install

uninstall: ## remove what make install has installed, and no data
	@packaging/install.sh uninstall

manual: setup ## manual pages and completions of all commands, the lab's among them, in build/manual
	@PYTHONPATH=packaging $(BIN)/python -m manual build/manual pmxcfs pmxcfs-db pmxcfs-ctl pmxcfs-lab
	@ls build/manual/man

deb: ## a Debian package of what is committed, in build/deb: RELEASE=bookworm or trixie (else this machine's)
	@packaging/build-deb.sh $(RELEASE)

deb-test: setup ## build the packages, install them on new machines with systemd, use them, remove them (RELEASE=bookworm)
	@ci/want.sh mmdebstrap mmdebstrap && ci/want.sh lintian lintian
	@$(BIN)/pytest -s --require=root,fuse tests/package $(if $(RELEASE),--release $(RELEASE)) $(ARGS)

clean: ## remove .venv, the built extension and every cache
	@rm -rf .venv build *.egg-info .hypothesis .mypy_cache .pytest_cache .ruff_cache .import_linter_cache
	@rm -rf pmxcfs/_compiled
	@rm -f pmxcfs/_{corosync,libfuse}*.so pmxcfs/_{corosync,libfuse}.c pmxcfs/_{corosync,libfuse}*.o
	@find pmxcfs lab tests bench -name __pycache__ -type d -prune -exec rm -rf {} +
