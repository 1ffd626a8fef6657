"""Programs that fail are shown by their shortest part that still does."""

from dataclasses import replace
from random import Random

from rtl.config import get
from rtl.isa import Loop, Vector
from sim.programs.compare import Difference, Refused
from sim.programs.generator import generate
from sim.programs.shrink import shrink
from sim.programs.world import World
from sw_ref.machine import Machine, MachineError


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
