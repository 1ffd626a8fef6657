"""Pack a model's weights, and put them and the tables where they lie in DRAM."""

from collections import deque
from dataclasses import replace

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP, UNIT_BYTES
from rtl.spec.descriptor import described
from rtl.spec.formats import sum_bits
from rtl.spec.limits import ACC_BITS
from sw_ref.numerics import WINDOW

from .place import gains_of
from .plan import centre_shift, stack
from .quantize import integer_groups
from .report import Tally, add_tensors


__all__ = ["Packed", "rope_table"]


def rope_table(model, positions):
    """Cosines, then sines, of each position's angles: float32 (positions, head_dim)."""
    half = np.arange(0, model.head_dim, 2, dtype=np.float32) / np.float32(model.head_dim)
    frequency = (1 / np.float64(model.rope_theta) ** half).astype(np.float32)
    angles = (np.arange(positions, dtype=np.float32)[:, None] * frequency).astype(np.float64)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


class Packed:
    """Weights and gains as they come to lie in DRAM.

    Attributes
    ----------
    layer_units : list of :class:`int`
        Units of each layer's matrices. How long sparse ones are shows when they are packed.
    """

    def __init__(self, compilation):
        self.compilation, self.model = compilation, compilation.model
        self.factors = {
            name: np.float32(factor) for name, factor in self.model.graph.softmax_factors.items()
        }
        self._tallies = {matrix.name: {} for matrix in compilation.matrices}
        self._tensors = {}
        body = compilation.values.sections.layers.body
        self.layers, self.gains, count = deque(), [], len(self.model.layers)
        for n, layer in enumerate(self.model.layers):
            compilation.progress("packing layers", n, count)
            self.layers.append(self._layer(layer))
            self.gains.append(
                np.concatenate(
                    [self._factor(node.gain) * layer.gains[node.gain] for node in gains_of(body)]
                )
            )
        compilation.progress("packing layers", count, count)
        self.layer_units = [len(raw) // UNIT_BYTES for raw in self.layers]

    def _factor(self, name):
        """What the tensor of a name is multiplied with."""
        return self.factors.get(name, np.float32(1))

    def _layer(self, layer):
        plan = self.compilation.matrices[:-1]
        return np.concatenate([self._matrix(matrix, layer.linears) for matrix in plan])

    def _matrix(self, matrix, linears, counted=True):
        """A matrix as it lies in the stream. Its format and its centres are its layer's own."""
        linear, config = stack(matrix, linears), self.compilation.config
        q = integer_groups(linear, centre_shift(linear))
        self._check_sums(matrix, q)
        factors = [np.full(end - start, self._factor(name)) for name, start, end in matrix.parts]
        raw = described(
            q.format,
            q.codes,
            q.scale,
            q.centre,
            q.row_scale * np.concatenate(factors),
            q.centre_shift,
            config.beat_bytes,
            config.patterns,
        )
        if counted:
            tallies = self._tallies[matrix.name]
            tallies.setdefault(q.format, Tally(matrix=matrix, format=q.format)).add(config, q, raw)
        add_tensors(self._tensors, matrix, linears, q, len(raw))
        return np.frombuffer(raw, np.uint8)

    def _check_sums(self, matrix, q):
        """Refuse a matrix whose sums an accumulator cannot hold."""
        bits = sum_bits(q.format, matrix.groups, q.centre_shift, WINDOW)
        if bits > ACC_BITS:
            raise UserError(
                f"{self.model.path}: sums of {matrix.name} over {matrix.groups * GROUP} inputs "
                f"may need {bits} bits, the accumulators have {ACC_BITS}"
            )

    @property
    def tensors(self):
        """A :class:`dict` of each tensor, see :func:`~mapper.report.add_tensors`: the layers', and
        the others', once :meth:`data` was called."""
        return list(self._tensors.values())

    @property
    def tallies(self):
        """A list of :class:`~mapper.report.Tally` of each matrix in each of its formats: the
        layers', and the head's, once :meth:`data` was called."""
        return [tally for its in self._tallies.values() for tally in its.values()]

    def data(self, memory, program):
        """DRAM's bytes up to the KV cache. Layers are let go as they are put there: call it
        once."""
        model, matrix = self.model, self.compilation.matrices[-1]
        data = np.zeros(memory.image_units * UNIT_BYTES, np.uint8)

        def place(unit, values):
            raw = values.view(np.uint8).reshape(-1)
            data[unit * UNIT_BYTES : unit * UNIT_BYTES + len(raw)] = raw
            return unit + len(raw) // UNIT_BYTES

        place(memory.program, program.words())
        at = memory.layers
        while self.layers:  # memory is touched as they go
            at = place(at, self.layers.popleft())
        place(memory.gains, np.concatenate(self.gains).astype("<f4"))
        head, embedding = self.compilation.head, self.compilation.embedding
        place(memory.head, self._matrix(matrix, {"head": head}))
        if not model.tied:
            of_embedding = replace(matrix, name="embedding")
            place(memory.embedding, self._matrix(of_embedding, {"head": embedding}, counted=False))
        place(memory.final_gain, model.norm.astype("<f4"))
        place(memory.rope, rope_table(model, self.compilation.context).astype("<f4"))
        return data
