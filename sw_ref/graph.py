"""A language model as a graph: what it computes, as data, before anything is chosen for a machine.

Families of models (:mod:`mapper.families`) build graphs. The PyTorch model
(:mod:`sw_ref.pytorch.interpreter`) interprets them as they are; the mapper rewrites and lowers
them.
"""

import math
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields


__all__ = [
    "Node",
    "Embedding",
    "Angles",
    "Gained",
    "Norm",
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

    def shapes(self, sizes):
        """Shapes of its tensors, by name; `sizes` are those of all values."""
        return {}

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
class Angles(Node):
    """Cosines, then sines, of the position times theta ** (-2 i / size), for i below size / 2."""

    theta: float


@dataclass(frozen=True, kw_only=True)
class Gained(Node):
    """A node that multiplies a gain in, which lies in the vector memory."""

    gain: str = tensor()

    @property
    def gain_size(self):
        """Numbers of the gain."""
        return self.size

    def shapes(self, sizes):
        return {self.gain: (self.gain_size,)}


@dataclass(frozen=True, kw_only=True)
class Norm(Gained):
    """RMS norm: x / sqrt(mean(x * x) + eps) * gain."""

    eps: float


@dataclass(frozen=True, kw_only=True)
class Linear(Node):
    """The product of a matrix with x, plus a bias where there is one."""

    weight: str = tensor()
    bias: str | None = tensor(default=None)

    def shapes(self, sizes):
        matrix = {self.weight: (self.size, sizes[self.inputs[0]])}
        return matrix if self.bias is None else matrix | {self.bias: (self.size,)}


@dataclass(frozen=True, kw_only=True)
class Rope(Node):
    """Rotary embedding of x, whole heads, by angles, the second input. Elements i and i + head_dim
    / 2 of a head are a pair (half-split)."""

    head_dim: int


@dataclass(frozen=True, kw_only=True)
class Attend(Node):
    """Causal attention of queries to all keys and values so far: softmax(q k / sqrt(head_dim)) v.

    Inputs are queries, keys and values. `heads` / `kv_heads` query heads share a KV head.
    """

    heads: int
    kv_heads: int
    head_dim: int


@dataclass(frozen=True, kw_only=True)
class Gate(Node):
    """function(gate) * up; inputs are gate and up.

    ``silu`` is the sequence `silu_gate` (:func:`sw_ref.sequences.gate`), and an entry of
    :mod:`sw_ref.pytorch.gates`.
    """

    function: str


@dataclass(frozen=True, kw_only=True)
class Add(Node):
    """The sum of two values."""


@dataclass(frozen=True, kw_only=True)
class Scale(Node):
    """x times a constant."""

    factor: float


@dataclass(frozen=True, kw_only=True)
class Head(Node):
    """Logits: the product of a matrix with x."""

    weight: str = tensor()

    def shapes(self, sizes):
        return {self.weight: (self.size, sizes[self.inputs[0]])}


@dataclass(frozen=True, kw_only=True)
class Repeat(Node):
    """A body of nodes, `count` times. Tensors of the body are those of the round.

    In the body, the node's own name is the value that goes in: the input in the first round, and
    what the body's last node made in those that follow. After it, it is what came out.
    """

    body: tuple[Node, ...] = field(repr=False)
    count: int

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
    def layer_shapes(self):
        """Shapes of a layer's tensors, by name: (rows, K) of matrices, (size,) of gains."""
        sizes, found = {node.name: node.size for node in self}, {}
        for repeat in (node for node in self if isinstance(node, Repeat)):
            for node in repeat.body:
                found |= node.shapes(sizes)
        return found

    @property
    def softmax_factors(self):
        """What tensors are multiplied with, since the machine's attention takes powers of 2 of q k:
        log2(e) / sqrt(head_dim), by the tensor that the queries' lengths depend on.

        Raises :exc:`ValueError` where they depend on none.
        """
        makers, factors = {node.name: node for node in self}, {}
        for node in self:
            if isinstance(node, Attend):
                query = makers[node.inputs[0]]
                while isinstance(query, Rope):  # which keeps lengths
                    query = makers[query.inputs[0]]
                if not isinstance(query, (Gained, Linear)):
                    raise ValueError(
                        f"{node.name!r} must have queries of a product or a norm, rotated or not, "
                        f"not {query.name!r}"
                    )
                tensor = query.weight if isinstance(query, Linear) else query.gain
                factors[tensor] = math.log2(math.e) / math.sqrt(node.head_dim)
        return factors
