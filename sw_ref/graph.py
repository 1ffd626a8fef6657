"""A language model as a graph: what it computes, as data, before anything is chosen for a machine.

Families of models (:mod:`mapper.families`) build graphs. The PyTorch model
(:mod:`sw_ref.pytorch.interpreter`) interprets them as they are; the mapper rewrites and lowers
them.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields
from functools import cached_property

from .rotary import RopeScaling


__all__ = [
    "Node",
    "Embedding",
    "PositionRow",
    "Angles",
    "Gained",
    "Norm",
    "LayerNorm",
    "Linear",
    "Rope",
    "Attend",
    "Gate",
    "Add",
    "Scale",
    "Head",
    "Repeat",
    "Graph",
    "text_of",
]


def tensor(**options):
    """Declare a field that names a tensor of the model."""
    return field(metadata={"tensor": True}, **options)


@dataclass(frozen=True, kw_only=True)
class Node:
    """An operation on one position. It makes one value, which is called as the node is.

    Attributes
    ----------
    name : :class:`str`
        Where it is: ``layer / attention / q``.
    inputs : tuple of :class:`str`
        Names of the values that it reads.
    size : :class:`int`
        Numbers in its value.
    """

    name: str
    inputs: tuple[str, ...] = ()
    size: int

    @property
    def vectors(self):
        """Numbers of those of its tensors that lie in the vector memory, by name."""
        return {}

    def shapes(self, sizes):
        """Shapes of its tensors, by name; `sizes` are those of all values."""
        return {name: (size,) for name, size in self.vectors.items()}

    @property
    def tensors(self):
        """Names of the tensors that it reads."""
        values = (getattr(self, f.name) for f in fields(self) if "tensor" in f.metadata)
        return tuple(value for value in values if value is not None)

    def __str__(self):
        known = {f.name for f in fields(Node)}
        own = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name not in known]
        return (
            f"{self.name} = {type(self).__name__}({', '.join([*self.inputs, *own])}): {self.size}"
        )


@dataclass(frozen=True, kw_only=True)
class Embedding(Node):
    """The row of a matrix that the token names."""

    weight: str = tensor()


@dataclass(frozen=True, kw_only=True)
class PositionRow(Node):
    """The row of a matrix that the position names: a learned embedding of positions."""

    weight: str = tensor()
    positions: int

    def shapes(self, sizes):
        return {self.weight: (self.positions, self.size)}


@dataclass(frozen=True, kw_only=True)
class Angles(Node):
    """Cosines, then sines, of size / 2 angles: the position times dim / 2 frequencies, which are
    theta ** (-2 i / dim) where there is no `scaling` (:func:`sw_ref.rotary.table`), and zeros.

    So a head of which only `dim` elements are rotated is like all others, once its elements are in
    an order that makes pairs of those that are not rotated."""

    dim: int
    theta: float
    scaling: RopeScaling = RopeScaling()


@dataclass(frozen=True, kw_only=True)
class Gained(Node):
    """A node that multiplies a gain in, which lies in the vector memory."""

    gain: str = tensor()

    @property
    def gain_size(self):
        """Numbers of the gain."""
        return self.size

    @property
    def vectors(self):
        return {self.gain: self.gain_size}


@dataclass(frozen=True, kw_only=True)
class Norm(Gained):
    """RMS norm: x / sqrt(mean(x * x) + eps) * gain; of each of `heads` parts by itself, with the
    same gain."""

    eps: float
    heads: int = 1

    @property
    def gain_size(self):
        return self.size // self.heads


@dataclass(frozen=True, kw_only=True)
class LayerNorm(Gained):
    """(x - mean(x)) / sqrt(variance(x) + eps) * gain + bias (arXiv:1607.06450)."""

    bias: str = tensor()
    eps: float

    @property
    def vectors(self):
        return {self.gain: self.size, self.bias: self.size}


@dataclass(frozen=True, kw_only=True)
class Linear(Node):
    """The product of a matrix with x, plus a bias where there is one."""

    weight: str = tensor()
    bias: str | None = tensor(default=None)

    @property
    def vectors(self):
        return {} if self.bias is None else {self.bias: self.size}

    def shapes(self, sizes):
        return {self.weight: (self.size, sizes[self.inputs[0]]), **super().shapes(sizes)}


@dataclass(frozen=True, kw_only=True)
class Rope(Node):
    """Rotary embedding of x, whole heads, by angles, the second input. Elements i and i + head_dim
    / 2 of a head are a pair (half-split)."""

    head_dim: int


@dataclass(frozen=True, kw_only=True)
class Attend(Node):
    """Causal attention of queries to keys and values so far: softmax(scale * q k) v.

    Inputs are queries, keys and values. `heads` / `kv_heads` query heads share a KV head. With a
    `window` a position sees that many, itself included. With a `cap` scores s become
    cap * tanh(s / cap), scaled as they are.
    """

    heads: int
    kv_heads: int
    head_dim: int
    scale: float
    window: int = 0
    cap: float = 0.0


@dataclass(frozen=True, kw_only=True)
class Gate(Node):
    """function(gate) * up; inputs are gate and up. `alone` there is no up: function(gate).

    ``silu`` is the sequence `silu_gate` (:func:`sw_ref.sequences.gate`), and an entry of
    :mod:`sw_ref.pytorch.gates`.
    """

    function: str
    alone: bool = False


@dataclass(frozen=True, kw_only=True)
class Add(Node):
    """The first value, plus `factor` times the second."""

    factor: float = 1.0


@dataclass(frozen=True, kw_only=True)
class Scale(Node):
    """x times a constant."""

    factor: float


@dataclass(frozen=True, kw_only=True)
class Head(Node):
    """Logits: the product of a matrix with x. With a `cap` they become cap * tanh(x / cap), which
    changes no order: the host does it to those that it gets."""

    weight: str = tensor()
    cap: float = 0.0

    def shapes(self, sizes):
        return {self.weight: (self.size, sizes[self.inputs[0]])}


@dataclass(frozen=True, kw_only=True)
class Repeat(Node):
    """A body of nodes, `count` times: a layer, whose tensors are those of the round, or several
    that repeat in a pattern, as Repeats, and nothing else.

    In the body, the node's own name is the value that goes in: the input in the first round, and
    what the body's last node made in those that follow. After it, it is what came out.
    """

    body: tuple[Node, ...] = field(repr=False)
    count: int

    @property
    def inner(self):
        """The Repeats in its body; none if that is a layer."""
        return tuple(node for node in self.body if isinstance(node, Repeat))

    @property
    def layers(self):
        """Layers that all rounds have."""
        return self.count * (sum(inner.layers for inner in self.inner) or 1)

    @property
    def kinds(self):
        """Those Repeats whose bodies are layers, in order: itself, or some within."""
        return tuple(kind for inner in self.inner for kind in inner.kinds) or (self,)

    @property
    def order(self):
        """Which of its :attr:`kinds` each of its layers is of, by name."""
        one = [name for inner in self.inner for name in inner.order] or [self.name]
        return one * self.count

    def __str__(self):
        return f"{self.name} = Repeat({self.inputs[0]}, count={self.count}): {self.size}"


def text_of(nodes, indent=""):
    """Yield the lines of a listing of nodes."""
    for node in nodes:
        yield f"{indent}{node}"
        if isinstance(node, Repeat):
            yield from text_of(node.body, indent + "    ")


@dataclass(frozen=True)
class Graph:
    """Nodes in an order in which each value is made before it is read.

    Raises :exc:`ValueError` where a name is taken twice, or a value is read that is not there.
    """

    nodes: tuple[Node, ...]

    def __post_init__(self):
        counts = Counter(node.name for node in self)
        twice = [name for name, count in counts.items() if count > 1]
        if twice:
            raise ValueError(f"Names of nodes must differ, {twice[0]!r} is that of several")
        self._check(self.nodes, set())

    def _check(self, nodes, known):
        known = set(known)
        for node in nodes:
            for name in node.inputs:
                if name not in known:
                    raise ValueError(f"{node.name!r} must read values made before it, not {name!r}")
            if isinstance(node, Repeat):
                self._check(node.body, known | {node.name})
            known.add(node.name)

    def __iter__(self) -> Iterator[Node]:
        """All nodes, bodies behind the nodes that repeat them."""
        ahead = list(reversed(self.nodes))
        while ahead:
            yield (node := ahead.pop())
            if isinstance(node, Repeat):
                ahead += reversed(node.body)

    def __str__(self):
        return "\n".join(text_of(self.nodes))

    @property
    def repeats(self):
        """The Repeats that no other has."""
        return tuple(node for node in self.nodes if isinstance(node, Repeat))

    @property
    def kinds(self):
        """The Repeats whose bodies are layers, by name, in the order of the program."""
        return {kind.name: kind for repeat in self.repeats for kind in repeat.kinds}

    @property
    def order(self):
        """The kind of each layer, by name."""
        return [name for repeat in self.repeats for name in repeat.order]

    @cached_property
    def layer_shapes(self):
        """Shapes of the tensors of each kind of layer, by its name: (rows, K) of matrices, (size,)
        of vectors, by name."""
        sizes = {node.name: node.size for node in self}
        return {
            name: {k: v for node in kind.body for k, v in node.shapes(sizes).items()}
            for name, kind in self.kinds.items()
        }

    @cached_property
    def shapes(self):
        """Shapes of the tensors that are of no layer, but of the embedding's, by name."""
        sizes, found = {node.name: node.size for node in self}, {}
        for node in self.nodes:
            found |= node.shapes(sizes)
        return found

    @cached_property
    def softmax_factors(self):
        """What tensors are multiplied with, since the machine's attention takes powers of 2 of q k:
        log2(e) * scale, by the tensors that the queries' lengths depend on.

        Raises :exc:`ValueError` where they depend on none, or kinds of layers differ.
        """
        makers, factors = {node.name: node for node in self}, {}
        for node in self:
            if isinstance(node, Attend):
                query = makers[node.inputs[0]]
                while isinstance(query, Rope):  # which keeps lengths
                    query = makers[query.inputs[0]]
                if not isinstance(query, (Norm, Linear)):
                    raise ValueError(
                        f"{node.name!r} must have queries of a product or a norm, rotated or not, "
                        f"not {query.name!r}"
                    )
                factor = math.log2(math.e) * node.scale
                for tensor in query.tensors:
                    if factors.setdefault(tensor, factor) != factor:
                        raise ValueError(
                            f"{node.name!r} must have the scale of other layers, not {node.scale}"
                        )
        return factors
