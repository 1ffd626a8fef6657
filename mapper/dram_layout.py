"""Where everything lies in DRAM; :mod:`mapper.place` is for the vector memory."""

from dataclasses import dataclass
from itertools import groupby

from rtl.spec.config import GROUP
from rtl.spec.descriptor import matrix_units
from rtl.spec.formats import stream_units
from rtl.spec.kv import ring_blocks
from rtl.spec.numbers import UNIT_WORDS
from sw_ref.graph import Angles, PositionRow

from .nodes import AttendCache
from .place import Sections, vectors_of


__all__ = ["INVERSE_BITS", "Cache", "MemoryMap"]


INVERSE_BITS = 22  # after the point, of 1 / blocks: exact for block numbers below 2**11


@dataclass(frozen=True)
class Cache:
    """The KV cache of a layer: its blocks of positions, of each head.

    With a `window` they are a ring: block n of positions lies in place n modulo `blocks`, and takes
    that of positions that nothing sees any more.
    """

    head_units: int
    layer_units: int
    blocks: int
    window: int

    @classmethod
    def of(cls, config, kv_heads, context, window):
        """The cache of a layer, whose `window` is 0 if it sees all positions.

        A step writes the positions of all columns before it reads those of the first.
        """
        if window >= context:
            window = 0
        # A ring of one block would have an inverse whose product has more than 32 bits.
        seen = max(2, window + config.columns - 1) if window else context
        blocks = ring_blocks(context, seen)
        head_units = blocks * config.kv_block_units
        return cls(head_units, head_units * kv_heads, blocks, window)

    @property
    def inverse(self):
        """1 / blocks, rounded up."""
        return -(-(1 << INVERSE_BITS) // self.blocks)


class MemoryMap:
    """DRAM addresses, in units of 64 bytes.

    Parameters
    ----------
    model : :class:`~mapper.model.Model`
    context : :class:`int`
        Positions.
    program_units : :class:`int`
        Of the program.
    layer_units : list of :class:`int`
        Of each layer's matrices, as they are packed: layers of sparse ones differ. One instruction
        streams them all.
    head_format : :class:`~rtl.spec.isa.WeightFormat`
    embedding : (:class:`~rtl.spec.isa.WeightFormat`, :class:`int`)
        Its format, and the shift of its centres.
    graph : :class:`~sw_ref.graph.Graph`
        As it is scheduled.

    Attributes
    ----------
    tables : :class:`dict` of :class:`str` to :class:`int`
        Where the table of a node lies, by its name: a row for each position.
    caches : :class:`dict` of :class:`str` to :class:`Cache`
        Of a layer of each kind, by its name.
    """

    def __init__(
        self,
        config,
        model,
        context,
        program_units,
        layer_units,
        head_format,
        embedding,
        graph,
    ):
        def allocate(units):
            start, self.end = self.end, self.end + units
            return start

        self.end = 0
        sections, kinds = Sections.of(graph), graph.kinds
        self.program = allocate(program_units)
        self.layer_units, self.layers_units = layer_units, sum(layer_units)
        self.layers = allocate(self.layers_units)
        shape = model.vocab, model.hidden // GROUP, config.word_bytes
        self.embed_format, self.embed_centre = embedding
        self.head_units = matrix_units(head_format, *shape)
        self.head = allocate(self.head_units)
        self.embedding = (
            self.head if model.tied else allocate(matrix_units(self.embed_format, *shape))
        )
        self.embed_rows = self.embedding + 1  # the first ones, behind the descriptor
        self.embed_units = stream_units(self.embed_format, UNIT_WORDS, *shape[1:])
        units = {name: _units(vectors_of(kind.body)) for name, kind in kinds.items()}
        self.vectors = allocate(sum(units[name] for name in graph.order))
        self.final_vectors = allocate(_units(vectors_of(sections.behind)))
        self.tables = {
            node.name: allocate(node.size // UNIT_WORDS * context)
            for node in sections.before
            if isinstance(node, (Angles, PositionRow))
        }
        self.image_units = self.end
        self.caches = {
            name: Cache.of(config, model.kv_heads, context, window_of(kind))
            for name, kind in kinds.items()
        }
        # Of layers that follow each other: how many, the blocks that each head has, its window.
        each = [self.caches[name] for name in graph.order]
        found = [(its.blocks, its.window) for its in each]
        self.kv_blocks = [(len(list(its)), *cache) for cache, its in groupby(found)]
        self.kv = allocate(sum(self.caches[name].layer_units for name in graph.order))

    def __str__(self):
        """Areas, in order."""
        areas = {
            name: getattr(self, name)
            for name in ("program", "layers", "head", "embedding", "vectors", "final_vectors", "kv")
        }
        areas |= self.tables
        return "\n".join(
            f"{start:10}  {name}"
            for name, start in sorted((*areas.items(), ("end", self.end)), key=lambda item: item[1])
        )

    @property
    def weight_units(self):
        """What a decode step reads of the weights: layers, head, and the 16 rows of the embedding
        of which the token's is one."""
        return self.layers_units + self.head_units + self.embed_units


def _units(vectors):
    return sum(vectors.values()) // UNIT_WORDS


def window_of(kind):
    """The window of a kind of layer: the largest, or 0 if one of its nodes sees all positions."""
    windows = [node.window for node in kind.body if isinstance(node, AttendCache)]
    return max(windows) if all(windows) else 0
