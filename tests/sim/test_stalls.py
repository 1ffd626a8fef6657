"""A memory bus that does whatever AXI allows: the same data, and no mercy on who relies on more."""

from dataclasses import replace
from functools import cache
from random import Random

import pytest

from host.device import DeviceError
from rtl.spec.config import get
from rtl.spec.dram import get as dram_of
from sim.fpga.adverse import STALLS, adverse
from sim.fpga.device import SimDevice

from .test_device import built, expected, image
from .tiny import BEATS, BUGS


CONFIG = get("small")
CALM = dram_of("ideal")
# A burst for each of the places that the memory has for them.
IMAGE = image(CONFIG, 32)


@cache
def small_library():
    return built(CONFIG)


def limited(cycles):
    if cycles > 100_000:
        raise DeviceError("it never ends")


def right(memory, token=1):
    """Whether the small design reads and writes what it should; and the cycles that it took."""
    with SimDevice(CONFIG, library=small_library(), memory=memory, progress=limited) as device:
        device.load(IMAGE)
        try:
            step = device.step([token], 0, False)
        except DeviceError as error:
            assert "ARVALID fell before ARREADY" in str(error) or str(error) == "it never ends"
            return False, None
        total = expected(CONFIG, IMAGE)
        written = int(device.memory[CONFIG.beat_bytes - 4 : CONFIG.beat_bytes].view("<u4")[0])
        assert device.statistics()["read_beats"] == IMAGE.length * BEATS
        return step.weight_beats == total and written == total, step.cycles


@pytest.mark.seconds(5)
@pytest.mark.parametrize("stall", STALLS)
@pytest.mark.parametrize("name", ["ideal", "ddr4-2400-x64"])
def test_same_data(stall, name):
    cycles = set()
    for seed in range(8):
        memory = replace(dram_of(name), stall=stall, seed=seed)
        fine, took = right(memory)
        assert fine and right(memory) == (fine, took), "the seed says all"
        cycles.add(took)
    assert len(cycles) > 3 and min(cycles) > right(dram_of(name))[1]


@pytest.mark.seconds(5)
@pytest.mark.parametrize("bug", BUGS)
def test_bug_is_found(bug):
    """A manager that relies on more than AXI promises is right on a calm bus, and wrong on this
    one.
    """
    assert right(CALM, BUGS[bug])[0]
    found = [not right(replace(CALM, stall=16, seed=seed), BUGS[bug])[0] for seed in range(10)]
    assert any(found)


def test_adverse():
    drawn = [adverse(Random(n)) for n in range(40)]
    assert len({memory.seed for memory in drawn}) == 40
    assert {memory.stall for memory in drawn} == set(STALLS)
    assert any(memory.ideal for memory in drawn) and not all(memory.ideal for memory in drawn)
