"""Schedule: the program of a placed graph.

One program serves every position and every number of columns: layers and columns are loops,
addresses are expressions over the loop registers and the host's position. The weight stream is one
instruction for all layers, so nothing ever holds it up but its own buffer.

The order of nodes is the graph's: the family's (`mapper/families/`), as the rewrites changed it
(`mapper/rewrites/`). The scheduler changes no order, and knows nodes and not families:
:mod:`mapper.lowering` has the instructions of each type, :mod:`mapper.sync_tokens` finds the tokens
between units in what the instructions read and write.
"""

from rtl.spec.config import KV_BLOCK
from rtl.spec.isa import Func, Halt, Load, Scalar, Source, Stream
from rtl.spec.numbers import UNIT_WORDS

from .assembler import Assembler
from .dram_layout import INVERSE_BITS
from .lowering import lowering_of
from .nodes import Rows
from .place import vectors_of
from .sequencer_registers import (
    COLUMN,
    COLUMN_WORDS,
    GAINS,
    KV_BLOCK_AT,
    KV_LAYER,
    POSITION,
    TEMP,
)
from .sync_tokens import Tokens


__all__ = ["Target", "schedule"]


MINUS_ONE = (1 << 32) - 1


class Target:
    """What a lowering emits to, and looks places up in.

    Attributes
    ----------
    config : :class:`~rtl.spec.config.Config`
    asm : :class:`~mapper.assembler.Assembler`
    memory : :class:`~mapper.dram_layout.MemoryMap`
    place : :class:`~mapper.place.Placement`
    kind : :class:`str`
        Of the layer that is emitted, by its name; empty outside of layers.
    """

    def __init__(self, config, memory, place, matrices):
        self.config, self.memory, self.place = config, memory, place
        self.asm = Assembler(config.lanes)
        self.kind = ""
        self._matrices = matrices

    def emit(self, *insns):
        """Emit instructions."""
        self.asm.emit(*insns)

    def at(self, value, temporary=None):
        """The :class:`~mapper.assembler.Area` of a value, or of a node's temporary."""
        return self.place.areas[value if temporary is None else f"{value}: {temporary}"]

    def vector(self, node, name):
        """Area of a gain or a bias of a node."""
        return self.place.vectors[node.name, name]

    @property
    def cache(self):
        """The :class:`~mapper.dram_layout.Cache` of a layer of this kind."""
        return self.memory.caches[self.kind]

    def matrices(self, product):
        """Each :class:`~mapper.plan.Matrix` of a product, in the order of its rows."""
        return self._matrices[self.kind, product]


def _groups(nodes):
    """Cut nodes into those that serve all columns, one each, and stretches that share a loop.

    A stretch ends where another unit waits for it, and begins anew where it must wait for another
    unit, so that what comes before need not.
    """
    ahead, group, lies = set(), [], {}  # `lies`: the product that has rows, by their name
    for node in nodes:
        lowering = lowering_of(node)
        if isinstance(node, Rows):
            lies[node.name] = lies.get(node.inputs[0], node.inputs[0])
        else:
            waits = ahead.intersection(lies.get(name, name) for name in node.inputs)
            ahead -= waits
            if group and (waits or lowering.whole):
                yield group
                group = []
            group.append(node)
            if lowering.whole or lowering.hands_over:
                yield group
                group = []
            if lowering.whole and lowering.runs_ahead:
                ahead.add(node.name)
    if group:
        yield group


class _Schedule:
    def __init__(self, target):
        self.to, self.asm = target, target.asm

    def program(self):
        sections = self.to.place.sections
        behind, memory, emit = sections.behind, self.to.memory, self.to.emit
        self.nodes(sections.before)
        self.asm.node = sections.repeats[0].name
        emit(Scalar(rd=GAINS), Scalar(rd=KV_LAYER))
        for repeat in sections.repeats:
            self.repeat(repeat)
        self.asm.node = behind[-1].name
        with self.asm.loop(source=Source.HEAD.value):
            emit(Stream(addr=memory.head, size=memory.head_units))
            self.vectors(behind, memory.final_vectors, 0)
            self.nodes(behind)
        emit(Halt())
        return self.asm

    def repeat(self, repeat):
        """Layers of a kind, or of several in a pattern."""
        self.asm.node = repeat.name
        with self.asm.loop(count=repeat.count):
            for inner in repeat.inner:
                if inner.count == 1 and not inner.inner:
                    self.layer(inner)
                else:
                    self.repeat(inner)
            if not repeat.inner:
                self.layer(repeat)
            elif repeat.inner[-1].count > 1:
                self.asm.node = repeat.name
                self.to.emit(Scalar(rd=TEMP))  # two loops may not end in one instruction

    def layer(self, kind):
        """A layer; registers have where its gains and biases, and its KV cache, lie in DRAM."""
        self.to.kind = kind.name
        words = self.vectors(kind.body, self.to.memory.vectors, GAINS)
        self.nodes(kind.body, self.stream)
        self.asm.node = kind.name
        self.carry(kind)
        self.to.emit(
            Scalar(rd=GAINS, source=GAINS, factor=1, offset=words // UNIT_WORDS),
            Scalar(rd=KV_LAYER, source=KV_LAYER, factor=1, offset=self.to.cache.layer_units),
        )
        self.to.kind = ""

    def stream(self):
        """Fetch the weights of all layers in the first one, where `KV_LAYER` is 0.

        Not before its first product: a stream that keeps memory busy makes other reads, those of
        the gains, take several times as long.
        """
        self.to.emit(
            Scalar(rd=TEMP, source=KV_LAYER, factor=1, offset=MINUS_ONE),
            Scalar(rd=TEMP, source=TEMP, shift=31, factor=1),
        )
        with self.asm.loop(source=TEMP):
            self.to.emit(Stream(addr=self.to.memory.layers, size=self.to.memory.layers_units))

    def vectors(self, nodes, addr, reg):
        """Load the gains and biases of a section, all at once. Returns how many words they are."""
        found = vectors_of(nodes)
        words = sum(found.values())
        if found:
            first = next(iter(found))
            self.asm.node = first[0]
            dst = self.to.place.vectors[first].start
            self.to.emit(Load(addr=addr, addr_reg=reg, size=words // UNIT_WORDS, dst=dst))
        return words

    def nodes(self, nodes, behind_first=None):
        """Emit nodes, and what `behind_first` emits, behind the first group of them."""
        for n, group in enumerate(_groups(nodes)):
            if n == 1 and behind_first:
                behind_first()
            if lowering_of(group[0]).whole:
                self.node(*group)
            else:
                self.columns(group)

    def node(self, node):
        self.asm.node = node.name
        lowering_of(node).emit(node, self.to)

    def columns(self, group):
        """Nodes, in a loop over the columns in use, which COLUMN counts."""
        self.asm.node = group[0].name
        self.to.emit(Scalar(rd=COLUMN))
        with self.asm.loop(source=Source.COLUMNS.value):
            self.to.emit(Scalar(rd=COLUMN_WORDS, source=COLUMN, factor=self.to.place.column_words))
            if any(lowering_of(node).position for node in group):
                self.position()
            for node in group:
                self.node(node)
            self.to.emit(Scalar(rd=COLUMN, source=COLUMN, factor=1, offset=1))

    def position(self):
        """Registers of the column's position, and of its block of the KV cache."""
        units, cache = self.to.config.kv_block_units, self.to.cache
        shift = KV_BLOCK.bit_length() - 1
        self.to.emit(Scalar(rd=POSITION, source=COLUMN, factor=1, plus=Source.POSITION.value))
        if not cache.window:
            self.to.emit(
                Scalar(rd=KV_BLOCK_AT, source=POSITION, shift=shift, factor=units, plus=KV_LAYER)
            )
            return
        # The block's number modulo the ring's blocks: as many are taken away as the quotient says.
        self.to.emit(
            Scalar(rd=TEMP, source=POSITION, shift=shift, factor=1),
            Scalar(rd=KV_BLOCK_AT, source=TEMP, factor=cache.inverse),
            Scalar(
                rd=KV_BLOCK_AT,
                source=KV_BLOCK_AT,
                shift=INVERSE_BITS,
                factor=(1 << 32) - cache.blocks,
                plus=TEMP,
            ),
            Scalar(rd=KV_BLOCK_AT, source=KV_BLOCK_AT, factor=units, plus=KV_LAYER),
        )

    def carry(self, layers):
        """Put what a round made where the next one looks for it, if it does not lie there."""
        old, new = self.to.at(layers.name), self.to.at(layers.body[-1].name)
        if old.start != new.start:
            self.to.emit(Scalar(rd=COLUMN))
            with self.asm.loop(source=Source.COLUMNS.value):
                self.to.emit(
                    Scalar(rd=COLUMN_WORDS, source=COLUMN, factor=self.to.place.column_words)
                )
                self.asm.vector(Func.MADD, old, new, 1.0, 0.0, inner=layers.size)
                self.to.emit(Scalar(rd=COLUMN, source=COLUMN, factor=1, offset=1))


def schedule(config, memory, place, matrices, tokens=None):
    """The program, an :class:`~mapper.assembler.Assembler`, and its
    :class:`~mapper.sync_tokens.Tokens`.

    Parameters
    ----------
    memory : :class:`~mapper.dram_layout.MemoryMap`
    place : :class:`~mapper.place.Placement`
    matrices : mapping of (:class:`str`, :class:`str`) to a list of :class:`~mapper.plan.Matrix`
        Of each kind of layer and product, by their names.
    tokens : :class:`~mapper.sync_tokens.Tokens`
        Those of the same program at other addresses in DRAM, if they are known.
    """
    program = _Schedule(Target(config, memory, place, matrices)).program()
    tokens = tokens or Tokens.find(program.items, config)
    program.items = tokens.insert(program.items)
    return program, tokens
