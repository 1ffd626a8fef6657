"""Pack a model's weights, and put them and the tables where they lie in DRAM."""

from dataclasses import replace

import numpy as np

from host.image.spool import Spool
from rtl.spec.config import UNIT_BYTES
from rtl.spec.isa import INSTRUCTION_BYTES
from sw_ref.float32 import angles
from sw_ref.graph import Angles

from .pack_matrix import pack_matrix, threads
from .place import vectors_of
from .plan import centre_shift, stack
from .report import Tally, add_tensors


__all__ = ["Packed"]


def rows_of(node, model, positions):
    """The table of a node: a row for each position, float32."""
    if isinstance(node, Angles):
        return angles(node, positions)
    return model.tensor(node.weight)[:positions]


class Packed:
    """Weights, gains and biases as they come to lie in DRAM. They are written to a file without a
    name.

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
        self._tallies = {matrix.name: {} for matrix in compilation.all_matrices}
        self._tensors = {}
        # The program lies in front of the layers, and how long it is is known behind them.
        longest = compilation.config.program_words * INSTRUCTION_BYTES
        self._reserve = -(-longest // UNIT_BYTES) * UNIT_BYTES
        self._spool = Spool()
        self._spool.seek(self._reserve)
        self.sections, graph = compilation.values.sections, compilation.graph
        kinds = graph.kinds
        self.vectors, self.layer_units, count = [], [], len(self.model.layers)
        with threads() as pool:
            for n, (kind, layer) in enumerate(zip(graph.order, self.model.layers)):
                compilation.progress("packing layers", n, count)
                sizes = [
                    self._matrix(pool, matrix, layer.linears)
                    for matrix in compilation.layer_matrices[kind]
                ]
                self.layer_units.append(sum(sizes) // UNIT_BYTES)
                self.vectors += self._vectors(kinds[kind].body, layer.vectors)
        compilation.progress("packing layers", count, count)

    def _factor(self, name):
        """What the tensor of a name is multiplied with."""
        return self.factors.get(name, np.float32(1))

    def _vectors(self, nodes, vectors):
        """The gains and biases of nodes, each in whole units."""
        return [
            np.pad(self._factor(name) * vectors[name], (0, words - len(vectors[name])))
            for (_, name), words in vectors_of(nodes).items()
        ]

    def _matrix(self, pool, matrix, linears, counted=True):
        """Pack a matrix behind what was packed before, and return its size in bytes. Its format and
        its centres are its layer's own."""
        config, linear = self.compilation.config, stack(matrix, linears)
        shift = centre_shift(linear)
        packed = pack_matrix(pool, config, matrix, linears, shift, self._factor, self._spool.write)
        if counted:
            tallies, fmt = self._tallies[matrix.name], packed.format
            tallies.setdefault(fmt, Tally(matrix=matrix, format=fmt)).add(config, packed)
        add_tensors(self._tensors, matrix, linears, packed)
        return packed.size

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
        """DRAM's bytes up to the KV cache, uint8, read-only: a mapping of the file. Call it
        once."""
        model, matrix, spool = self.model, self.compilation.head_matrix, self._spool
        head, embedding = self.compilation.head, self.compilation.embedding
        with threads() as pool:
            self._matrix(pool, matrix, {"head": head})
            if not model.tied:
                of_embedding = replace(matrix, name="embedding")
                self._matrix(pool, of_embedding, {"head": embedding}, counted=False)
        for values in (
            *self.vectors,
            *self._vectors(self.sections.behind, model.outside),
            *(
                rows_of(node, model, self.compilation.context)
                for node in self.sections.before
                if node.name in memory.tables
            ),
        ):
            spool.write(values.astype("<f4").tobytes())
        start = self._reserve - memory.layers * UNIT_BYTES
        spool.seek(start)
        spool.write(program.words().tobytes())
        return spool.array(start)
