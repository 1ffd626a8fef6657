"""A language model as a graph: what it computes, as data, before anything is chosen for a machine.

Families of models (:mod:`mapper.families`) build graphs. The PyTorch model
(:mod:`sw_ref.pytorch.interpreter`) interprets them as they are; the mapper rewrites and lowers
them.
"""

from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass, field, fields


__all__ = [
    "Node",
    "Embedding",
    "Angles",
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


def tensor(shape, **options):
    """Declare a field that names a tensor of the model.

    `shape` is a function of the node and of how many numbers its first input has.
    """
    return field(metadata={"shape": shape}, **options)


def matrix(node, depth):
    """Shape of a matrix that a node multiplies with its input: (rows, K)."""
    return node.size, depth


def vector(node, depth):
    """Shape of a tensor with a number for each of the node's."""
    return (node.size,)


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
    def tensors(self):
        """Names of the tensors that it reads."""
        return tuple(self.shapes())

    def shapes(self, depth=None):
        """Shapes of the tensors that it reads, by name; its first input has `depth` numbers."""
        named = [f for f in fields(self) if "shape" in f.metadata]
        return {
            name: f.metadata["shape"](self, depth)
            for f in named
            if (name := getattr(self, f.name)) is not None
        }

    def __str__(self):
        known = {f.name for f in fields(Node)}
        own = [f"{f.name}={getattr(self, f.name)}" for f in fields(self) if f.name not in known]
        return (
            f"{self.name} = {type(self).__name__}({', '.join([*self.inputs, *own])}): {self.size}"
        )


@dataclass(frozen=True, kw_only=True)
class Embedding(Node):
    """The row of a matrix that the token names, one of `vocab`."""

    weight: str = tensor(lambda node, depth: (node.vocab, node.size))
    vocab: int


@dataclass(frozen=True, kw_only=True)
class Angles(Node):
    """Cosines, then sines, of the position times theta ** (-2 i / size), for i below size / 2."""

    theta: float


@dataclass(frozen=True, kw_only=True)
class Norm(Node):
    """RMS norm: x / sqrt(mean(x * x) + eps) * gain."""

    gain: str = tensor(vector)
    eps: float


@dataclass(frozen=True, kw_only=True)
class Linear(Node):
    """The product of a matrix with x, plus a bias where there is one."""

    weight: str = tensor(matrix)
    bias: str | None = tensor(vector, default=None)


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
    """function(gate) * up; inputs are gate and up."""

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

    weight: str = tensor(matrix)


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

    def shapes(self, *, of_layers):
        """Shapes of tensors by name: of those that rounds have, or of those outside.

        Raises :exc:`ValueError` where nodes need a tensor in different shapes.
        """
        sizes, found = {node.name: node.size for node in self}, {}
        outside = {node.name for node in self.nodes}
        for node in self:
            if (node.name not in outside) == of_layers:
                shapes = node.shapes(*(sizes[name] for name in node.inputs[:1]))
                for name, shape in shapes.items():
                    if found.setdefault(name, shape) != shape:
                        raise ValueError(
                            f"{node.name!r} must read {name!r} as others do, in the shape "
                            f"{found[name]}, not {shape}"
                        )
        return found

    def __str__(self):
        return "\n".join(text_of(self.nodes))
