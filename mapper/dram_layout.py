"""Where everything lies in DRAM; :mod:`mapper.place` is for the vector memory."""

from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.descriptor import matrix_units
from rtl.spec.formats import stream_units
from rtl.spec.isa import WeightFormat


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
        Of the head, and of the embedding.
    layer_gains : :class:`int`
        Words of the gains of a layer.
    """

    def __init__(
        self, config, model, context, program_units, layer_units, head_format, layer_gains
    ):
        def allocate(units):
            start, self.end = self.end, self.end + units
            return start

        self.end = 0
        self.program = allocate(program_units)
        self.layer_units, self.layers_units = layer_units, sum(layer_units)
        self.layers = allocate(self.layers_units)
        shape = model.vocab, model.hidden // GROUP, config.beat_bytes
        self.head_units = matrix_units(head_format, *shape)
        self.head = allocate(self.head_units)
        self.embedding = self.head if model.tied else allocate(self.head_units)
        self.embed_rows = self.embedding + 1  # the first block, behind the descriptor
        self.embed_units = stream_units(WeightFormat.S8, config.block_rows, *shape[1:])
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
        """What a decode step reads of the weights: layers, head, and the block of the token's
        embedding."""
        return self.layers_units + self.head_units + self.embed_units
