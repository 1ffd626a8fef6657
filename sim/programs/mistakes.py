"""Mistakes: legal programs with one change that makes them illegal; or one to a descriptor."""

from dataclasses import fields
from random import Random

from rtl.spec.config import UNIT_BYTES
from rtl.spec.descriptor import Descriptor
from rtl.spec.isa import MatMul
from sw_ref.checks import Bounds
from sw_ref.sequencer import Sequencer
from sw_ref.weight_stream import WeightStream


__all__ = ["damage", "mutant"]


def _values(rng, width, value):
    """Values that a field of so many bits may wrongly have instead of `value`."""
    top = (1 << width) - 1
    near = [value + n for n in (1, -1, 2, -2, 4, -4, 8, 16, -16, 32, 64, -64, 65)]
    edges = [0, 1, top, top - 1, top >> 1, value << 1, value >> 1, rng.getrandbits(width)]
    return [value & top for value in near + edges]


def _field(rng, insn, widths):
    """The word of an instruction, one of whose fields, of such a width, has another value."""
    word = insn.encode()
    places = [insn.layout[f.name] for f in fields(insn) if f.metadata["width"] in widths]
    if not places:
        return word
    at = rng.choice(places)
    value = word >> at.offset & (1 << at.width) - 1
    return word ^ (value ^ rng.choice(_values(rng, at.width, value))) << at.offset


def _bit(rng, insn):
    return insn.encode() ^ 1 << rng.randrange(insn.layout.size)


# Words in the place of an instruction and the next one. Registers and tokens have 3 and 4 bits.
MISTAKES = {
    "field": lambda rng, insn, after: [_field(rng, insn, range(33)), after.encode()],
    "number": lambda rng, insn, after: [_field(rng, insn, (3, 4)), after.encode()],
    "place": lambda rng, insn, after: [_field(rng, insn, range(8, 29)), after.encode()],
    "bit": lambda rng, insn, after: [_bit(rng, insn), after.encode()],
    "drop": lambda rng, insn, after: [after.encode()],
    "twice": lambda rng, insn, after: [insn.encode(), insn.encode(), after.encode()],
    "swap": lambda rng, insn, after: [after.encode(), insn.encode()],
}


def mutant(insns, seed):
    """A program with one mistake, and what that is.

    Parameters
    ----------
    insns : list of :class:`~rtl.spec.isa.Insn`
        A legal program.
    seed : any
        What chooses.

    Returns the words, and a text.
    """
    rng, words = Random(seed), [insn.encode() for insn in insns]
    while True:
        name, n = rng.choice(list(MISTAKES)), rng.randrange(len(insns) - 1)
        changed = [*words[:n], *MISTAKES[name](rng, *insns[n : n + 2]), *words[n + 2 :]]
        if changed != words:
            return changed, f"{name} at {n} ({insns[n]})"


def _descriptors(world, program):
    """Yield the units of DRAM whose descriptors a legal program meets."""
    bounds = Bounds(world.config, world.end, *world.cache)
    sequencer = Sequencer(program.insns, bounds, len(program.tokens))
    stream = WeightStream(world.config, world.memory)
    for _, insn in sequencer.run(program.tokens, program.position, program.head):
        if isinstance(insn, MatMul):
            yield stream.waiting[0][0]
        stream.follow(insn)


def damage(world, program, seed):
    """Bits of DRAM whose change damages a descriptor that a program meets; none if it meets none.

    Parameters
    ----------
    world : :class:`~.world.World`
    program : :class:`~.generator.Program`
        A legal one.
    seed : any
        What chooses.
    """
    rng, units = Random(seed), [*_descriptors(world, program)]
    if not units:
        return ()
    first, most = 8 * UNIT_BYTES * rng.choice(units), 8 * UNIT_BYTES
    size = rng.choice([Descriptor.layout.size, Descriptor.layout.size, most])
    return tuple(first + bit for bit in rng.sample(range(size), rng.choice([1, 1, 1, 2, 5])))
