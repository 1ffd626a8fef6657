"""Random legal programs give the same on the accelerator and on the functional machine."""

from dataclasses import replace
from random import Random

import numpy as np
import pytest

from rtl.config import get
from rtl.isa import Loop, Vector
from sim.programs.__main__ import programs
from sim.programs.compare import Difference, Pair, Refused
from sim.programs.coverage import Coverage
from sim.programs.generator import generate
from sim.programs.shrink import shrink
from sim.programs.world import World
from sw_ref.machine import Machine, MachineError


COUNTS = {"small": 60, "wide": 40}


@pytest.mark.seconds(40)
@pytest.mark.parametrize("name", COUNTS)
def test_same(name):
    config = get(name)
    coverage = Coverage(config)
    with Pair(config, coverage) as pair:
        for n, world, program in programs(config, 1, COUNTS[name]):
            try:
                pair.compare(world, program)
            except Difference as difference:
                raise AssertionError(f"program {n} of {name}: {difference}") from difference
    assert coverage.share > 0.8, coverage.missing


def test_all_are_legal():
    """In all that a program can be given, and each is another."""
    config = get("wide")
    world, words = World(config, Random(5)), set()
    for n in range(25):
        program = generate(world, Random(n))
        image = world.image(program.words)
        machine = Machine(config, image.dram(), writable=image.writable)
        machine.run(tuple(program.words), tokens=program.tokens, position=program.position, head=program.head)
        words.add(tuple(program.words))
        assert np.isfinite(machine.vector).all()
    assert len(words) == 25


def test_shrink():
    """A difference that one instruction makes is shown with hardly any other."""
    config = get("small")
    world = World(config, Random(5))

    class Wrong:
        def compare(self, world, program):
            image = world.image(program.words)
            machine = Machine(config, image.dram(), writable=image.writable)
            try:
                machine.run(tuple(program.words), tokens=program.tokens, position=program.position,
                            head=program.head)
            except MachineError as error:
                raise Refused(str(error)) from error
            if any(isinstance(insn, Vector) and insn.func.name == "CLAMP" for insn in program.insns):
                raise Difference("CLAMP is wrong")

    program = next(p for n in range(100) for p in [generate(world, Random(n))]
                   if any(isinstance(i, Vector) and i.func.name == "CLAMP" for i in p.insns) and len(p.insns) > 40)
    small = shrink(Wrong(), world, program)
    assert len(small.insns) < 12
    assert replace(program, insns=()) == replace(small, insns=())
    assert not any(isinstance(insn, Loop) and insn.length < 1 for insn in small.insns)
