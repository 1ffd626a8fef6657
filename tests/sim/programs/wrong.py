"""A pair of devices that differ whenever a program has a CLAMP; no accelerator is simulated."""

from rtl.spec.isa import Func, Vector
from sim.programs.compare import Difference, Refused
from sw_ref.machine import Machine, MachineError


__all__ = ["Wrong", "clamps"]


def clamps(program):
    return any(isinstance(insn, Vector) and insn.func == Func.CLAMP for insn in program.insns)


class Wrong:
    """In place of a :class:`~sim.programs.compare.Pair`.

    Attributes
    ----------
    runs : :class:`int`
        Programs that were compared.
    machine : :class:`~sw_ref.machine.Machine`
        Of the last one.
    """

    def __init__(self, config, coverage=None, build_progress=None, checked=False):
        self.config, self.runs = config, 0

    def __enter__(self):
        return self

    def __exit__(self, *_):
        pass

    def compare(self, world, program):
        self.runs += 1
        image = world.image(program.words)
        self.machine = Machine(self.config, image.dram(), writable=image.writable)
        try:
            self.machine.run(
                tuple(program.words),
                tokens=program.tokens,
                position=program.position,
                head=program.head,
            )
        except MachineError as error:
            raise Refused(str(error)) from error
        if clamps(program):
            raise Difference("CLAMP is wrong")
