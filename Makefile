# Every command that a developer needs. `make` lists them.

VENV := .venv
BIN := $(VENV)/bin
READY := $(VENV)/.ready
CHECK = $(BIN)/python -m tests.tools.check

.DEFAULT_GOAL := help
.PHONY: help setup image demo demo-down test lint sanity unit integration long molecule \
	attack costs diagnosis fit engines conformance fidelity markets crashpoints races faults mutants ranking searching bench \
	report-drill screenshots monitoring server-drill awx rulebook stack-matrix compatibility vllm-options recipes docs awx-config \
	format lock build clean

help: ## List these commands
	@awk -F ':.*## ' '/^[a-z-]+:.*## / {printf "  make %-13s %s\n", $$1, $$2}' $(MAKEFILE_LIST)

setup: image ## Install system packages (Debian, Ubuntu), pinned tools in .venv, the host image

$(READY): requirements-dev.txt tests/tools/setup.sh
	@tests/tools/setup.sh
	@touch $@

# What simulated hosts run on; 0.2 s when it is there.
image: $(READY)
	@$(BIN)/python -m tests.rig.image

demo: image ## Rent, install, serve and answer on simulated hosts: the main job, end to end
	@$(BIN)/python -m tests.demo up

demo-down: $(READY) ## Tear down what `make demo` left running
	@$(BIN)/python -m tests.demo down

test: $(READY) ## Every check and every test
	@$(CHECK)

lint: $(READY) ## Formatting, lint, types, documentation
	@$(CHECK) --only lint

sanity: $(READY) ## ansible-test sanity
	@$(CHECK) --only sanity

unit: $(READY) ## Unit tests
	@$(CHECK) --only unit

integration: image ## Integration tests: real hosts, real SSH, the built tarball
	@$(CHECK) --only integration

long: image ## Whole stories that take minutes each: a model that is mended, hosts that vanish or stand still
	@$(CHECK) --only long

molecule: image ## Every molecule scenario
	@$(CHECK) --only molecule

diagnosis: $(READY) ## How often the right cause of a failure comes first, over real excerpts of logs
	@PYTHONPATH=collections $(BIN)/python -m tests.diagnosis

fit: $(READY) ## How far the memory estimate is off what is published of real models
	@PYTHONPATH=collections $(BIN)/python -m tests.fit

engines: $(READY) ## Every test of the host side that needs an engine, on a stand-in
	@PYTHONPATH=collections $(BIN)/python -m pytest --engine stand_in tests/unit/host

conformance: $(READY) ## Hold every provider to every clause of the contract; PROVIDER= holds one
	@PYTHONPATH=collections $(BIN)/python -m tests.conformance \
	  $(if $(PROVIDER),--provider $(PROVIDER))

# ONLY= names clients, comma-separated.
fidelity: $(READY) ## Other people's clients against the simulators: what each reads is what there is
	@PYTHONPATH=collections $(BIN)/python -m tests.fidelity $(if $(ONLY),--only $(ONLY))

# ONLY= names marketplaces, ssh, local or several, comma-separated.
markets: image ## Deploy and teardown with a real host on every marketplace, on ssh and local (about forty minutes)
	@PYTHONPATH=collections $(BIN)/python -m tests.markets $(if $(ONLY),--only $(ONLY))

# The drills prove that no dollar leaks. SEED= changes what is drawn by lot.
DRILL_SEED = $(if $(SEED),--seed $(SEED))

crashpoints: image ## Kill rent, stop and teardown at every call and task; PROVIDER= names another, or all (half an hour and more)
	@$(BIN)/python -m tests.drills.crashpoints $(if $(PROVIDER),--provider $(PROVIDER))

races: image ## Two controllers rent the same name at once, 20 interleavings
	@$(BIN)/python -m tests.drills.races $(DRILL_SEED)

faults: $(READY) ## Every fault of a marketplace alone, and 200 combinations; PROVIDER= names another, or all
	@$(BIN)/python -m tests.drills.faults $(DRILL_SEED) $(if $(PROVIDER),--provider $(PROVIDER))

mutants: $(READY) ## Break the safety rules one by one; a test must notice each
	@$(BIN)/python -m tests.drills.mutants

# ONLY= names attacks, comma-separated. MUTANT= breaks a rule of `make mutants` first.
attack: $(READY) ## Hostile hosts, markets, names, files, terminals: none may get anything (half an hour)
	@PYTHONPATH=collections $(BIN)/python -m tests.attacks $(if $(ONLY),--only $(ONLY)) \
	  $(if $(MUTANT),--mutant $(MUTANT))

ranking: $(READY) ## Dollars burned where 65 % of offers fail, and regret in hindsight, against cheapest first
	@$(BIN)/python -m tests.benchmarks.ranking $(DRILL_SEED)

# Installs focus-validator once.
costs: $(READY) ## What rentals are said to cost, against every simulated marketplace's books, and as FOCUS
	@PYTHONPATH=collections $(BIN)/python -m tests.costs

searching: $(READY) ## A search of every marketplace at once, against the slowest of them alone
	@PYTHONPATH=collections $(BIN)/python -m tests.benchmarks.searching

# ONLY= names parts (floor, seed, image, again, noop, fleet, check40), RUNS= how often each is measured.
bench: image ## Seconds of a deployment, against a script by hand and the old runbook (about an hour)
	@PYTHONPATH=collections $(BIN)/python -m tests.benchmarks.deploy $(if $(ONLY),--only $(ONLY)) $(if $(RUNS),--runs $(RUNS))

# Debian's Chromium is installed for these two alone.
report-drill: $(READY) ## The report of status for 12 hosts in a real browser, phone and desk, light and dark
	@tests/tools/setup.sh browser
	@PYTHONPATH=collections $(BIN)/python -m tests.report drill

screenshots: $(READY) ## Write the documents' pictures of that report anew
	@tests/tools/setup.sh browser
	@PYTHONPATH=collections $(BIN)/python -m tests.report pictures

# Debian's Prometheus is installed for this one alone. REAL=1 rents a host with a real vLLM, too.
monitoring: $(READY) ## Every alert rule and dashboard query on a real Prometheus, with what they watch planted; REAL=1 adds a real engine
	@tests/tools/setup.sh prometheus
	@PYTHONPATH=collections $(BIN)/python -m tests.monitoring $(if $(REAL),--real)

# ONLY= names drills, comma-separated. MUTANT= breaks a rule of `make mutants` first.
server-drill: image ## Break real servers in every known way, under both supervisors
	@$(BIN)/python -m tests.drills.servers $(if $(ONLY),--only $(ONLY)) \
	  $(if $(MUTANT),--mutant $(MUTANT))

# ONLY= names drills, comma-separated.
endpoint-drill: image ## What clients of a gateway get while engines, hosts and ways fail
	@PYTHONPATH=collections $(BIN)/python -m tests.drills.endpoints $(if $(ONLY),--only $(ONLY))

awx: image ## The job templates as AWX runs them, each in an empty container, to the end of all rentals (about half an hour)
	@PYTHONPATH=collections $(BIN)/python -m tests.awx.jobs $(if $(ONLY),--only $(ONLY))

rulebook: $(READY) ## Real ansible-rulebook: an alert mends an engine, and gives it up after the limit
	@tests/tools/setup.sh java
	@PYTHONPATH=collections $(BIN)/python -m pytest -m "long or not long" tests/unit/host/test_rulebook.py

stack-matrix: $(READY) ## Drivers x GPUs x wishes: plan, install stand-ins with real uv, prove, judge
	@PYTHONPATH=collections $(BIN)/python -m tests.matrix

compatibility: $(READY) ## Compare the compatibility table with what vLLM's releases declare; WRITE=1 changes it
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.compatibility $(if $(WRITE),--write)

vllm-options: $(READY) ## Write which options and models each release of vLLM knows, from its sources; CHECK=1 only tells
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.vllm_options $(if $(CHECK),--check)
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.vllm_models $(if $(CHECK),--check)

# PYTHONS= are interpreters that have a vLLM each; the parser needs no GPU.
recipes: $(READY) ## Ask vLLM's own parsers what published command lines and ours mean
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.recipes $(PYTHONS)

awx-config: $(READY) ## Write what AWX is told (awx/) from argument specifications and providers
	@PYTHONPATH=collections $(BIN)/python -m tests.awx

docs: $(READY) ## Write what documents take from the code: the roles' README files, what marketplaces can do and the simulator answers
	@$(BIN)/python -m tests.tools.role_readmes
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.provider_table
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.market_fragment
	@PYTHONPATH=collections $(BIN)/python -m tests.tools.endpoints

format: $(READY) ## Format the Python files
	@$(BIN)/ruff check --quiet --fix . || true
	@$(BIN)/ruff format .

lock: $(READY) ## Pin what the checks and the simulator run with anew
	@for list in requirements-dev tests/simulator/requirements tools/mcp/requirements; do \
	  UV_CUSTOM_COMPILE_COMMAND="make lock" $(BIN)/uv pip compile --quiet --upgrade --universal \
	    --python-version 3.11 --generate-hashes --no-emit-index-url --no-emit-find-links \
	    $$list.in --output-file $$list.txt || exit 1; done

build: $(READY) ## Build the collection's tarball into dist/
	@$(BIN)/python -m tests.tools.tree build dist

clean: ## Remove what setup, checks and demos made here (run `make demo-down` first)
	rm -rf $(VENV) .rig .ansible .mypy_cache .pytest_cache .ruff_cache dist
	find . -name __pycache__ -type d -prune -exec rm -rf {} +
