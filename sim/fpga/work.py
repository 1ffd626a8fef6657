"""What a step has units do: the node, the layer and the bytes of memory of each instruction.

A run without hardware dispatches the same instructions in the same order.
"""

from bisect import bisect_left
from dataclasses import dataclass

from rtl.spec import kv
from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.isa import Append, Attend, Embed, Load, MatMul, Stream, Sync, Unit
from sw_ref.accesses import unit_of
from sw_ref.checks import Bounds
from sw_ref.legal import decoded
from sw_ref.sequencer import Sequencer
from sw_ref.weight_stream import WeightStream


__all__ = ["Stepped", "Work", "work_of"]


WITHIN = " / "  # in the names of nodes of a layer


@dataclass(frozen=True)
class Stepped:
    """A step of a device, and the cycle before which it began."""

    cycle: int
    tokens: tuple
    position: int
    head: bool


@dataclass(frozen=True)
class Work:
    """What an instruction is for.

    Attributes
    ----------
    node : :class:`str`
        Name of the node, as the image has it.
    layer : :class:`int` or None
        Number of its layer, None outside of layers.
    bytes : :class:`int`
        What its unit takes from memory for it, or writes.
    macs : :class:`int`
        Products of the model that it adds up.
    """

    node: str
    layer: int | None
    bytes: int
    macs: int

    @property
    def name(self):
        """The node's name, with the number of its layer."""
        if self.layer is None:
            return self.node
        layer, within, rest = self.node.partition(WITHIN)
        return f"{layer} {self.layer}{within}{rest}"


def attend_units(config, insn):
    """Units of the KV cache that an Attend reads: of each block the exponents, and the lines of
    all positions from the first block on."""
    blocks = (insn.length - 1) // KV_BLOCK + 1
    before = kv.first_position(insn.length, insn.window) // KV_BLOCK
    lines = 2 * (insn.length - KV_BLOCK * before)
    return insn.heads * (blocks - before + lines * config.head_dim // UNIT_BYTES)


def macs(config, insn):
    """Products that an instruction adds up."""
    match insn:
        case MatMul():
            columns = 1 if insn.best else insn.column + 1
            return insn.rows * insn.groups * GROUP * columns
        case Attend():
            positions = min(insn.length, insn.window or insn.length)
            return 2 * insn.heads * insn.queries * positions * config.head_dim
    return 0


class _Bytes:
    """Counts the bytes of instructions, in the order of the program."""

    def __init__(self, config, memory):
        self.config, self.stream = config, WeightStream(config, memory)

    def of(self, insn):
        match insn:
            case Stream():
                self.stream.follow(insn)
                return 0  # LINEAR takes them
            case MatMul() | Embed():
                units = self.stream.units(insn, *self.stream.waiting[0])
                self.stream.follow(insn)
            case Load():
                units = insn.size
            case Attend():
                units = attend_units(self.config, insn)
            case Append():
                units = insn.heads * (1 + self.config.head_dim // UNIT_BYTES)
            case _:
                units = 0
        return units * UNIT_BYTES


class _Layers:
    """Numbers the layers: one begins where the program goes back over a product, as loops over the
    columns never do, or on to a layer of another kind."""

    def __init__(self, insns):
        self.products = [pc for pc, insn in enumerate(insns) if isinstance(insn, MatMul)]
        self.number, self.pc, self.kind = -1, -1, None

    def at(self, pc, node):
        if WITHIN not in node:
            self.kind = None
            return None
        kind = node.partition(WITHIN)[0]
        again = pc <= self.pc and self._product_within(pc, self.pc)
        if kind != self.kind or again:
            self.number += 1
        self.kind, self.pc = kind, pc
        return self.number

    def _product_within(self, first, last):
        at = bisect_left(self.products, first)
        return at < len(self.products) and self.products[at] <= last


def work_of(image, config, step):
    """The :class:`Work` of what each unit gets in a :class:`Stepped`, in order, by the unit's
    number; None for a Sync, which is no work.
    """
    insns = decoded(tuple(image.instructions), config.program_words)
    sequencer = Sequencer(
        insns, Bounds(config, image.memory_units, *image.writable), len(step.tokens)
    )
    layers, count = _Layers(insns), _Bytes(config, image.memory)
    found = {unit.value: [] for unit in Unit}
    for pc, insn in sequencer.run(step.tokens, step.position, step.head):
        node = image.node(pc) or ""
        layer = layers.at(pc, node)
        work = (
            None
            if isinstance(insn, Sync)
            else Work(node, layer, count.of(insn), macs(config, insn))
        )
        found[unit_of(insn)].append(work)
    return found
