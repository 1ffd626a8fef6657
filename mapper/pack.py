"""Pack a model's weights, and put them and the tables where they lie in DRAM."""

from collections import deque
from dataclasses import replace

import numpy as np

from rtl.spec.config import UNIT_BYTES
from rtl.spec.formats import pack

from .mixtures import as_s8
from .place import gains_of
from .quantize import integer_groups
from .report import Tally, roundings


__all__ = ["Packed", "rope_table", "stack"]


def rope_table(model, positions):
    """Cosines, then sines, of each position's angles: float32 (positions, head_dim)."""
    half = np.arange(0, model.head_dim, 2, dtype=np.float32) / np.float32(model.head_dim)
    frequency = (1 / np.float64(model.rope_theta) ** half).astype(np.float32)
    angles = (np.arange(positions, dtype=np.float32)[:, None] * frequency).astype(np.float64)
    return np.concatenate([np.cos(angles), np.sin(angles)], 1).astype(np.float32)


def stack(matrix, linears):
    """The rows of a matrix's parts, one below the other."""
    parts = [linears[name] for name, _, _ in matrix.parts]
    if (
        len({part.by_row for part in parts}) > 1
    ):  # of S8: only some were rounded when they were read
        parts = [as_s8(part) for part in parts]
    rows = [slice(start, end) for _, start, end in matrix.parts]

    def join(field):
        return np.concatenate([getattr(p, field)[r] for p, r in zip(parts, rows)])

    return replace(
        parts[0],
        name=matrix.name,
        codes=join("codes"),
        d=join("d"),
        m=None if parts[0].m is None else join("m"),
    )


class Packed:
    """Weights and gains as they come to lie in DRAM.

    Attributes
    ----------
    layer_units : list of :class:`int`
        Units of each layer's matrices. How long sparse ones are shows when they are packed.
    tallies : list of :class:`~mapper.report.Tally`
        Of the layers' matrices, and of the head, once :meth:`data` was called.
    roundings : list of :class:`dict`
        Of each tensor that was rounded, see :func:`~mapper.report.roundings`.
    """

    def __init__(self, compilation):
        self.compilation, self.model = compilation, compilation.model
        self.factors = {
            name: np.float32(factor) for name, factor in self.model.graph.softmax_factors.items()
        }
        self.tallies = [Tally(matrix=matrix) for matrix in compilation.matrices]
        self.roundings = []
        body = compilation.values.sections.layers.body
        self.layers, self.gains, count = deque(), [], len(self.model.layers)
        for n, layer in enumerate(compilation.layers):
            compilation.progress("packing layers", n, count)
            self.layers.append(self._layer(layer))
            self.roundings += roundings(layer.linears.values())
            self.gains.append(
                np.concatenate(
                    [self._factor(node.gain) * layer.gains[node.gain] for node in gains_of(body)]
                )
            )
        compilation.progress("packing layers", count, count)
        self.layer_units = [len(raw) // UNIT_BYTES for raw in self.layers]

    def _factor(self, name):
        """What the tensor, or matrix, of a name is multiplied with."""
        return self.factors.get(name, np.float32(1))

    def _layer(self, layer):
        plan = self.tallies[:-1]
        return np.concatenate(
            [
                self._matrix(tally.matrix, stack(tally.matrix, layer.linears), tally)
                for tally in plan
            ]
        )

    def _matrix(self, matrix, linear, tally=None):
        config, q = self.compilation.config, integer_groups(linear, matrix.centre)
        raw = pack(
            q.format,
            q.codes,
            q.scale,
            q.centre,
            q.row_scale * self._factor(matrix.name),
            config.beat_bytes,
            config.patterns,
        )
        if tally:
            tally.add(config, q, raw)
        return np.frombuffer(raw, np.uint8)

    def data(self, memory, program):
        """DRAM's bytes up to the KV cache. Layers are let go as they are put there: call it
        once."""
        model, tally = self.model, self.tallies[-1]
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
        place(memory.head, self._matrix(tally.matrix, head, tally))
        self.roundings += roundings([head] if model.tied else [head, embedding])
        if not model.tied:
            place(
                memory.embedding,
                self._matrix(replace(tally.matrix, name="embedding"), embedding),
            )
        place(memory.final_gain, model.norm.astype("<f4"))
        place(memory.rope, rope_table(model, self.compilation.context).astype("<f4"))
        return data
