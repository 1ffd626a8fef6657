"""Random legal programs give the same on the accelerator and on the functional machine."""

from dataclasses import replace
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from host.device import Step
from rtl.spec.config import CORES, get
from rtl.spec.isa import Stream
from sim.models.configs import of_files
from sim.programs.compare import Difference, Pair, plausible, same_answer, same_state
from sim.programs.coverage import Coverage
from sim.programs.generator import generate
from sim.programs.trials import programs
from sim.programs.world import World
from sw_ref.machine import Machine


COUNTS = {"small": 60, "wide": 40, "narrow": 30}
# The machine of a narrow memory: as in tests/test_narrow_beats.py, so that it is built once.
NARROW = replace(get("small"), beat_bits=64)


@pytest.mark.seconds(40)
@pytest.mark.parametrize("name", COUNTS)
def test_same(name):
    config = NARROW if name == "narrow" else get(name)
    coverage = Coverage(config)
    with Pair(config, coverage) as pair:
        for n, world, program in programs(config, 1, COUNTS[name]):
            try:
                pair.compare(world, program)
            except Difference as difference:
                raise AssertionError(f"program {n} of {name}: {difference}") from difference
    assert coverage.share > 0.85, coverage.missing


@pytest.mark.seconds(20)
@pytest.mark.parametrize("core", CORES)
def test_formats_of_files(core):
    """Matrices, and rows of embeddings, of 5 and 6 bits, in groups of 16, and of code books."""
    config = of_files(core)
    with Pair(config) as pair:
        for n, world, program in programs(config, 1, 25):
            try:
                pair.compare(world, program)
            except Difference as difference:
                raise AssertionError(f"program {n} of {config.name}: {difference}") from difference


def test_all_are_legal():
    """In all that a program can be given, and each is another."""
    config = get("wide")
    world, words = World(config, Random(5)), set()
    for n in range(25):
        program = generate(world, Random(n))
        image = world.image(program.words)
        machine = Machine(config, image.dram(), writable=image.writable)
        machine.run(
            tuple(program.words),
            tokens=program.tokens,
            position=program.position,
            head=program.head,
        )
        words.add(tuple(program.words))
        assert np.isfinite(machine.vector).all()
    assert len(words) == 25


@pytest.fixture
def devices():
    """What two devices that agree leave: nothing but zeros, of a configuration of two columns."""
    config = SimpleNamespace(columns=2, unit_beats=4)
    arrays = {f"activations{n}": np.zeros((8, 1), np.uint32) for n in range(2)}
    sim = SimpleNamespace(
        memory=np.zeros(64, np.uint8), words=np.zeros(16, np.float32), arrays=arrays
    )
    sim.vector, sim.array = lambda: sim.words, arrays.get
    machine = SimpleNamespace(
        memory=np.zeros(64, np.uint8),
        vector=np.zeros(16, np.float32),
        act=np.zeros((2, 8, 32), np.int16),
        exponents=np.zeros((2, 8), np.uint8),
    )
    same_state(sim, machine)
    return config, sim, machine


@pytest.mark.parametrize("bit", [0, 1, 22, 31])
def test_a_single_bit_of_the_vector_memory(devices, bit):
    """Also the sign of zero, which fp32 comparisons do not see."""
    _, sim, machine = devices
    machine.vector.view(np.uint32)[9] = 1 << bit
    with pytest.raises(
        Difference, match="the vector memory differs in 1 places, from 0x9 on: 0x0, not 0x"
    ):
        same_state(sim, machine)


def test_other_state(devices):
    _, sim, machine = devices
    machine.memory[63] = 1
    with pytest.raises(Difference, match="DRAM differs in 1 places, from 0x3f on"):
        same_state(sim, machine)
    machine.memory[63] = 0
    for change in (
        lambda value: machine.exponents.__setitem__((1, 5), value),
        lambda value: machine.act.__setitem__((1, 5, 31), value),
    ):
        change(1)
        with pytest.raises(
            Difference, match="the activations of column 1 differs in 1 places, from 0x5 on"
        ):
            same_state(sim, machine)
        change(0)
    # The sum of a group is signed, in 13 bits.
    machine.act[0, 3], machine.exponents[0, 3] = -128, 255
    sim.arrays["activations0"][3] = (0x2000 - 4096) << 8 | 255
    same_state(sim, machine)


@pytest.mark.parametrize(
    "change, said",
    [
        ({"counts": {"WEIGHT_BEATS": 41, "STARVED": 100}}, "WEIGHT_BEATS is 41, not 40"),
        ({"cycles": 39}, "CYCLES is 39, not from 40 to 500"),
        ({"cycles": 501}, "CYCLES is 501, not from 40 to 500"),
        ({"counts": {"WEIGHT_BEATS": 40, "STARVED": 101}}, "STARVED is 101, of 100 cycles"),
    ],
)
def test_counts(devices, change, said):
    config, _, _ = devices
    right = {"cycles": 100, "counts": {"WEIGHT_BEATS": 40, "STARVED": 100}}
    executed = [(0, Stream(size=3)), (5, Stream(size=7))]
    plausible(config, Step(**right), executed, 500)
    with pytest.raises(Difference, match=said):
        plausible(config, Step(**right | change), executed, 500)


def test_answers():
    step = Step(np.array([3, 4]), np.array([2, 0], np.float32))
    same_answer(step, step)
    for ids, logits, said in (([3, 5], [2, 0], "ids"), ([3, 4], [2, -0.0], "logits")):
        with pytest.raises(Difference, match=said):
            same_answer(Step(np.array(ids), np.array(logits, np.float32)), step)
