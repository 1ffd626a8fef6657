# amaranth: UnusedElaboratable=no
"""Every registered core keeps the contract of :class:`rtl.cores.core.LinearCore`; new ones are
found.

`sim/benches/cores/` runs them.
"""

from dataclasses import replace
from types import ModuleType

import pytest

from host.configurations import named
from rtl.cores import CORES, create, standalone
from rtl.cores.core import LinearCore, register
from rtl.cores.systolic import SystolicCore
from rtl.linear.slices import WIDEST, Banks
from rtl.spec import config as configs
from rtl.spec.config import NATIVE
from rtl.spec.formats import FORMATS
from rtl.spec.sparse_modes import SLOTS, Mode


def test_config_wrong():
    with pytest.raises(TypeError, match=r"^Configuration must be a Config, not 'small'$"):
        create("small")


def test_every_core_that_is_declared_is_a_file():
    assert set(CORES) == set(NATIVE) == set(configs.CORES)
    assert all(cls.__module__ == f"rtl.cores.{name}" for name, cls in CORES.items())


def check(core, config):
    """What the pipeline around a core relies on."""
    assert isinstance(core, LinearCore) and type(core) is CORES[config.core]
    assert core.config is config and core.native == config.native
    assert {fmt.name for fmt in core.native} <= set(NATIVE[config.core])
    assert core.what.endswith(".")
    assert core.inputs <= config.lanes and core.lanes % config.rows == 0
    assert len(core.sums.payload) == len(core.acts.payload) == config.columns
    assert len(core.sums.payload[0]) == core.lanes <= WIDEST * config.rows
    assert core.latency < core.capacity
    for fmt in core.native:
        its = FORMATS[fmt]
        for mode in [mode for mode in Mode if SLOTS[mode]] if its.sparse else [Mode.ZERO]:
            outputs = core.outputs(fmt, mode)
            assert outputs == -(-its.step_slices(mode) // WIDEST)
            assert core.passes(fmt, mode) % outputs == 0
            assert outputs * core.lanes >= its.step_slices(mode) * config.rows


@pytest.mark.parametrize("name", named())
def test_contract(name):
    check(create(named()[name]), named()[name])


def each_format():
    """Configurations with S8 and one format more, and with all."""
    for core, formats in configs.CORES.items():
        for chosen in [*((name,) for name in formats), formats]:
            name = f"{core}-{chosen[0] if len(chosen) == 1 else 'all'}"
            yield pytest.param(
                replace(named()["small"], core=core, formats=("S8", *chosen), beat_bits=256),
                id=name,
            )


@pytest.mark.parametrize("config", each_format())
def test_contract_of_each_format(config):
    core = create(config)
    check(core, config)
    assert core.lanes == Banks.of(config, core.native).lanes(config)
    check_alone(config)


@pytest.mark.parametrize("name", named())
def test_standalone(name):
    check_alone(named()[name])


def check_alone(config):
    """By itself it takes activations as they are, and is as fast."""
    core, alone = create(config), standalone(config)
    assert alone.inputs == 1 and alone.what == core.what
    assert alone.native == core.native and alone.lanes == core.lanes
    assert all(
        alone.passes(fmt) == core.passes(fmt) and alone.outputs(fmt) == core.outputs(fmt)
        for fmt in core.native
        if not FORMATS[fmt].sparse
    )


class Greedy(SystolicCore):
    """Says that it gives two payloads a step."""

    def outputs(self, fmt, mode=0):
        return 2


def test_a_wrong_core_is_found(monkeypatch):
    monkeypatch.setitem(CORES, "systolic", Greedy)
    with pytest.raises(AssertionError):
        check(create(named()["small"]), named()["small"])


def made(module):
    """A class of a module of that name."""
    return type("Abacus", (SystolicCore,), {"__module__": ModuleType(module).__name__})


def test_names_are_declared_once():
    with pytest.raises(
        TypeError, match=rf"^Core must be one of {', '.join(NATIVE)}, not 'abacus'$"
    ):
        register(made("rtl.cores.abacus"))
    with pytest.raises(TypeError, match=r"^Core lut must be registered once$"):
        register(made("rtl.cores.lut"))
