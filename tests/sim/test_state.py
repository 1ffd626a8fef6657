"""What the simulated FPGA shows of the accelerator's state."""

from random import Random

import numpy as np
import pytest

from host.device import DeviceError
from rtl.spec.config import get
from rtl.spec.isa import Halt, Load, Quant, Sync, Unit
from sim.fpga.device import SimDevice
from sim.fpga.state import arrays, counters, header
from sim.functional import ModelDevice
from sim.programs.world import World

from .test_device import built, image


CONFIG = get("small")
INSNS = [
    Load(addr=0, size=512, dst=0),
    *[Sync(unit=Unit.LOAD, give=5)] * 3,
    Sync(unit=Unit.VECTOR, take=5),
    Quant(outer=1, inner=2048, a=0),
    *[Sync(unit=Unit.VECTOR)] * 70,
    Halt(),
]


@pytest.fixture(scope="module")
def ran():
    """A device that has recorded a program, and the functional machine."""
    program = World(CONFIG, Random(1)).image([insn.encode() for insn in INSNS])
    model = ModelDevice(CONFIG)
    with SimDevice(CONFIG, record=True) as sim:
        for device in sim, model:
            device.load(program)
            device.step([1], 0, False)
        yield sim, model.machine


@pytest.mark.seconds(3)
def test_vector_memory(ran):
    sim, machine = ran
    loaded, words = (
        sim.memory[: 4 * CONFIG.vector_words].view(np.uint32),
        sim.vector().view(np.uint32),
    )
    normal = (loaded >> 23 & 0xFF) % 0xFF > 0  # LOAD keeps the bits of these
    assert np.array_equal(words[normal], loaded[normal]) and normal.sum() > 7000
    assert (
        np.array_equal(words, machine.vector.view(np.uint32)) and sim.vector().dtype == np.float32
    )


@pytest.mark.seconds(3)
def test_activations(ran):
    sim, machine = ran
    words = sim.array("activations0")[:, 0]
    assert np.array_equal(words & 0xFF, machine.exponents[0])
    sums = (words >> 8).astype(np.int32)
    assert (
        np.array_equal(sums - (sums >> 12 << 13), machine.act[0].sum(1))
        and len(np.unique(sums)) > 20
    )


@pytest.mark.seconds(3)
def test_peaks(ran):
    sim, _ = ran
    peaks = sim.peaks()
    assert list(peaks) == list(counters(CONFIG))
    assert {name: most for name, most in peaks.items() if most} == {
        "vector": 64,
        "load": peaks["load"],
        "token5": 2,
    } and peaks["load"] < 7


@pytest.mark.seconds(3)
def test_names_that_are_not_there(ran):
    sim, _ = ran
    with pytest.raises(DeviceError, match="sim: the library shows no memory 'activations1'"):
        sim.array("activations1")
    assert "activations3" in arrays(get("wide")) and "activations3" in header(get("wide"))


@pytest.mark.seconds(3)
def test_library_that_shows_nothing():
    with SimDevice(CONFIG, library=built(CONFIG), record=True) as device:
        device.load(image(CONFIG, 1))
        assert device.peaks() == {}
        with pytest.raises(DeviceError, match="shows no memory 'vector'"):
            device.vector()


@pytest.mark.seconds(3)
def test_only_what_is_recorded(ran):
    with SimDevice(CONFIG) as device:
        device.load(World(CONFIG, Random(1)).image([insn.encode() for insn in INSNS]))
        device.step([1], 0, False)
        assert not any(device.peaks().values()) and not len(device.transitions())
