"""Programs that fail are shown by their shortest part that still does."""

from dataclasses import replace
from random import Random

import pytest

from rtl.spec.config import get
from rtl.spec.isa import Load, Loop
from sim.programs.compare import Refused
from sim.programs.generator import generate
from sim.programs.shrink import shrink
from sim.programs.world import World

from .wrong import Wrong, clamps


CONFIG = get("small")


def test_shrink():
    """A difference that one instruction makes is shown with hardly any other."""
    world = World(CONFIG, Random(5))
    program = next(
        p
        for n in range(200)
        for p in [generate(world, Random(n))]
        if clamps(p) and 40 < len(p.insns) < 400
    )
    small = shrink(Wrong(CONFIG), world, program)
    assert clamps(small) and len(small.insns) < 12
    assert replace(program, insns=()) == replace(small, insns=())
    assert not any(isinstance(insn, Loop) and insn.length < 1 for insn in small.insns)
    # What is loaded is what is read: no unit less would do.
    loads = [n for n, insn in enumerate(small.insns) if isinstance(insn, Load)]
    assert loads
    for n in loads:
        load = small.insns[n]
        if load.size == 1:
            continue
        less = replace(load, size=load.size - 1)
        for less in less, replace(less, addr=load.addr + 1, dst=load.dst + 16):
            with pytest.raises(Refused):
                Wrong(CONFIG).compare(
                    world, replace(small, insns=(*small.insns[:n], less, *small.insns[n + 1 :]))
                )
