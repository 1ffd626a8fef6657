"""Where everything lies: DRAM, and the vector memory."""

from dataclasses import dataclass

from rtl.spec.config import KV_BLOCK, UNIT_BYTES
from rtl.spec.formats import stream_units
from rtl.spec.isa import WeightFormat

from .assembler import Area


__all__ = ["FFN_CHUNKS", "Matrix", "MemoryMap", "VectorMap", "ffn_chunks", "layer_matrices"]


# Shares of the feed-forward rows, in the order in which they are computed. The gate runs on one
# chunk while the core streams the next; only the last one's gate is exposed, so they get smaller.
FFN_CHUNKS = (8 / 24, 8 / 24, 5 / 24, 2 / 24, 1 / 24)


@dataclass(frozen=True)
class Matrix:
    """A matrix in the weight stream: rows of one or more linears, stacked."""
    name: str
    parts: tuple      # (linear's name, first row, end row)
    format: WeightFormat
    groups: int
    centre: int = 0

    @property
    def rows(self):
        return sum(end - start for _, start, end in self.parts)


def ffn_chunks(ffn):
    """Rows (start, end) of the feed-forward chunks: multiples of 64, or all of them at once."""
    edges, total = [0], 0.0
    for share in FFN_CHUNKS[:-1]:
        total += share
        edge = round(total * ffn / 64) * 64
        if edges[-1] < edge < ffn:
            edges.append(edge)
    edges.append(ffn)
    return list(zip(edges, edges[1:]))


def layer_matrices(model):
    """Parts of a layer's matrices, in stream order: (name, parts, K)."""
    q, kv, hidden = model.heads * model.head_dim, model.kv_heads * model.head_dim, model.hidden
    yield "kv", (("k", 0, kv), ("v", 0, kv)), hidden
    yield "q", (("q", 0, q),), hidden
    yield "o", (("o", 0, hidden),), q
    for n, (start, end) in enumerate(ffn_chunks(model.ffn)):
        yield f"gate_up{n}", (("gate", start, end), ("up", start, end)), hidden
    yield "down", (("down", 0, hidden),), model.ffn


class MemoryMap:
    """DRAM addresses, in units of 64 bytes.

    Parameters
    ----------
    program_units : :class:`int`
        Of the program.
    layer_units : list of :class:`int`
        Of each layer's matrices, as they are packed: layers of sparse ones differ. One instruction
        streams them all.
    head : :class:`Matrix`
    """
    def __init__(self, config, model, context, program_units, layer_units, head):
        def allocate(units):
            start, self.end = self.end, self.end + units
            return start

        self.end = 0
        self.program = allocate(program_units)
        self.layer_units, self.layers_units = layer_units, sum(layer_units)
        self.layers = allocate(self.layers_units)
        self.head_units = stream_units(head.format, head.rows, head.groups, config.beat_bytes)
        self.head = allocate(self.head_units)
        self.embedding = self.head if model.tied else allocate(self.head_units)
        self.embed_units = stream_units(WeightFormat.S8, config.block_rows, head.groups,
                                        config.beat_bytes)
        self.gain_units = model.hidden * 4 // UNIT_BYTES
        self.gains = allocate(2 * self.gain_units * len(model.layers))
        self.final_gain = allocate(self.gain_units)
        self.rope_units = model.head_dim * 4 // UNIT_BYTES
        self.rope = allocate(self.rope_units * context)
        self.image_units = self.end
        self.kv_head_units = -(-context // KV_BLOCK) * config.kv_block_units
        self.kv_layer_units = self.kv_head_units * model.kv_heads
        self.kv = allocate(self.kv_layer_units * len(model.layers))

    @property
    def weight_units(self):
        """What a decode step reads of the weights: layers, head, and the block of the token's embedding."""
        return self.layers_units + self.head_units + self.embed_units


class VectorMap:
    """Areas of the vector memory: shared ones first, then one set per column.

    What attention needs and what the feed-forward network needs never live at the same time, and
    share their words.
    """
    def __init__(self, config, model, column_reg):
        lanes, chunk = config.lanes, max(b - a for a, b in ffn_chunks(model.ffn))
        self.end = 0

        def area(words, reg=0):
            start, self.end = self.end, self.end + -(-words // 64) * 64
            return Area(start, words, reg)

        self.gains = area(2 * model.hidden)
        base = self.end
        self.x = area(model.hidden, column_reg)
        self.normed = area(model.hidden, column_reg)
        self.y = area(model.hidden, column_reg)
        self.rope = area(model.head_dim, column_reg)
        self.turn = area(model.head_dim, column_reg)
        self.rms = area(lanes, column_reg)
        self.scalars = [area(lanes, column_reg) for _ in range(4)]
        overlay = self.end
        half = model.head_dim // 2
        self.kv = area(2 * model.kv_heads * model.head_dim, column_reg)
        self.q = area(model.heads * model.head_dim, column_reg)
        self.rotated = [area(model.heads * half, column_reg) for _ in range(2)]
        self.attended = area(model.heads * model.head_dim, column_reg)
        self.sums = [area(model.heads * lanes, column_reg) for _ in range(3)]
        attention_end, self.end = self.end, overlay
        self.gate_up = area(2 * model.ffn, column_reg)
        self.chunk = [area(chunk, column_reg) for _ in range(3)]
        self.end = max(self.end, attention_end)
        self.column_words = self.end - base
        self.words = base + config.columns * self.column_words
