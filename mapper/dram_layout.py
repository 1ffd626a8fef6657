"""Where everything lies in DRAM; :mod:`mapper.place` is for the vector memory."""

from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.descriptor import matrix_units
from rtl.spec.formats import stream_units
from rtl.spec.numbers import UNIT_WORDS


__all__ = ["MemoryMap"]


class MemoryMap:
    """DRAM addresses, in units of 64 bytes.

    Parameters
    ----------
    program_units : :class:`int`
        Of the program.
    layer_units : list of :class:`int`
        Of each layer's matrices, as they are packed: layers of sparse ones differ. One instruction
        streams them all.
    head_format : :class:`~rtl.spec.isa.WeightFormat`
    embedding : (:class:`~rtl.spec.isa.WeightFormat`, :class:`int`)
        Its format, and the shift of its centres.
    layer_gains : :class:`int`
        Words of the gains of a layer.
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
        layer_gains,
    ):
        def allocate(units):
            start, self.end = self.end, self.end + units
            return start

        self.end = 0
        self.program = allocate(program_units)
        self.layer_units, self.layers_units = layer_units, sum(layer_units)
        self.layers = allocate(self.layers_units)
        shape = model.vocab, model.hidden // GROUP, config.beat_bytes
        self.embed_format, self.embed_centre = embedding
        self.head_units = matrix_units(head_format, *shape)
        self.head = allocate(self.head_units)
        self.embedding = (
            self.head if model.tied else allocate(matrix_units(self.embed_format, *shape))
        )
        self.embed_rows = self.embedding + 1  # the first ones, behind the descriptor
        self.embed_units = stream_units(self.embed_format, UNIT_WORDS, *shape[1:])
        self.gain_units = model.hidden * 4 // UNIT_BYTES
        self.layer_gain_units = layer_gains * 4 // UNIT_BYTES
        self.gains = allocate(self.layer_gain_units * len(model.layers))
        self.final_gain = allocate(self.gain_units)
        self.rope_units = model.head_dim * 4 // UNIT_BYTES
        self.rope = allocate(self.rope_units * context)
        self.image_units = self.end
        self.kv_head_units = -(-context // KV_BLOCK) * config.kv_block_units
        self.kv_layer_units = self.kv_head_units * model.kv_heads
        self.kv = allocate(self.kv_layer_units * len(model.layers))

    def __str__(self):
        """Areas, in order."""
        areas = {
            name: getattr(self, name)
            for name in (
                "program",
                "layers",
                "head",
                "embedding",
                "gains",
                "final_gain",
                "rope",
                "kv",
            )
        }
        return "\n".join(
            f"{start:10}  {name}"
            for name, start in sorted((*areas.items(), ("end", self.end)), key=lambda item: item[1])
        )

    @property
    def weight_units(self):
        """What a decode step reads of the weights: layers, head, and the 16 rows of the embedding
        of which the token's is one."""
        return self.layers_units + self.head_units + self.embed_units
