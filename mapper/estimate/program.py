"""What a program dispatches in a step, and the sequencer's cycles for it."""

from dataclasses import dataclass

from host.image.image import Image
from rtl.spec.config import UNIT_BYTES, Config
from rtl.spec.descriptor import Descriptor
from rtl.spec.formats import SPARSE
from rtl.spec.isa import Embed, Insn, Loop, MatMul, Scalar, Stream, Token
from rtl.spec.numbers import UNIT_WORDS
from sw_ref.checks import Bounds
from sw_ref.legal import decoded
from sw_ref.sequencer import Sequencer

from .hardware import Hardware
from .matrices import Work, dense_work, sparse_work


__all__ = ["Dispatched", "dispatched", "Weights"]


@dataclass(slots=True)
class Dispatched:
    """An instruction that goes to a unit.

    Attributes
    ----------
    pc : :class:`int`
    insn : :class:`~rtl.spec.isa.Insn`
        Registers are added.
    cycles : :class:`int`
        Of the sequencer since the one before.
    round : :class:`int`
        Rounds of outermost loops that ended before.
    work : :class:`~.matrices.Work` or None
        Of an instruction of the linear unit.
    stream : :class:`int`
        Number of the STREAM that it takes weights of.
    """

    pc: int
    insn: Insn
    cycles: int
    round: int
    work: Work | None
    stream: int


def dispatched(
    image: Image, config: Config, hardware: Hardware, tokens, position, head
) -> list[Dispatched]:
    """All of a step, in order."""
    weights = Weights(image, config, hardware)
    costs = {Scalar: hardware.scalar, Loop: hardware.loop, Token: hardware.token}
    cycles, found = 0, []

    def passed(insn):
        nonlocal cycles
        cycles += costs[type(insn)]

    bounds = Bounds(config, image.memory_units, *image.writable)
    insns = decoded(tuple(image.instructions), config.program_words)
    sequencer = Sequencer(insns, bounds, len(tokens))
    for pc, insn in sequencer.run(tokens, position, head, passed=passed):
        added = sum(getattr(insns[pc], name) != 0 for name in insns[pc].relative.values())
        cycles += hardware.dispatch + added
        found.append(Dispatched(pc, insn, cycles, sequencer.rounds, *weights.follow(insn)))
        cycles = 0
    return found


class Weights:
    """Follows the weight stream: the work of each matrix, in order.

    Parameters
    ----------
    image : :class:`~host.image.image.Image`
        What matrices are in, and which blocks of sparse ones are stored, is in its memory.
    """

    def __init__(self, image: Image, config: Config, hardware: Hardware):
        self.memory, self.config, self.hardware = image.memory, config, hardware
        self.known: dict = {}  # matrices that were looked at
        self.streams: list[list[int]] = []  # address and units left
        self.number = 0

    def follow(self, insn: Insn) -> tuple[Work | None, int]:
        """Work of the next instruction, if it is one of the linear unit, and the number of the
        STREAM that it takes weights of.
        """
        if isinstance(insn, Stream):
            self.streams.append([insn.addr, insn.size])
        if not isinstance(insn, MatMul | Embed):
            return None, self.number
        front = self.streams[self.number]
        size = (front[0], insn.rows) if isinstance(insn, MatMul) else insn.format
        key = size, insn.groups
        work = self.known.get(key) or self.known.setdefault(key, self._work(insn, front[0]))
        units = work.units + isinstance(insn, MatMul)  # its descriptor
        front[:] = front[0] + units, front[1] - units
        number = self.number
        self.number += not front[1]
        return work, number

    def _work(self, insn: MatMul | Embed, address: int) -> Work:
        config, hardware = self.config, self.hardware
        if isinstance(insn, Embed):
            return dense_work(insn.format, UNIT_WORDS, insn.groups, config, hardware)
        memory = self.memory[address * UNIT_BYTES :]
        fmt = Descriptor.unpack(memory[:UNIT_BYTES]).format
        if fmt in SPARSE:
            data = memory[UNIT_BYTES:]
            return sparse_work(fmt, insn.rows, insn.groups, data, config, hardware)
        return dense_work(fmt, insn.rows, insn.groups, config, hardware)
