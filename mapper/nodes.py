"""Nodes that only the mapper has: what rewrites make of a :class:`~sw_ref.graph.Graph`'s."""

from dataclasses import dataclass

from sw_ref.graph import Gained, Node, tensor


__all__ = [
    "Append",
    "AttendCache",
    "Biased",
    "Join",
    "Pad",
    "Product",
    "Quantize",
    "Reciprocal",
    "Rows",
    "Times",
    "Weighted",
]


@dataclass(frozen=True, kw_only=True)
class Weighted(Gained):
    """A norm's first half: x times the gain."""


@dataclass(frozen=True, kw_only=True)
class Reciprocal(Node):
    """A norm's second half: 1 / sqrt(mean(x * x) + eps), one number in a line of its own."""

    eps: float


@dataclass(frozen=True, kw_only=True)
class Times(Node):
    """x times one number, the second input."""


@dataclass(frozen=True, kw_only=True)
class Biased(Node):
    """x plus a bias, after x was multiplied with the second input, one number, if there is one."""

    bias: str = tensor()

    @property
    def vectors(self):
        return {self.bias: self.size}


@dataclass(frozen=True, kw_only=True)
class Pad(Node):
    """Heads of `head_dim` elements with zeros behind them, up to the `padded` that attention is
    built for."""

    head_dim: int
    padded: int


@dataclass(frozen=True, kw_only=True)
class Quantize(Node):
    """x in the activation buffer, where products find it."""


@dataclass(frozen=True, kw_only=True)
class Product(Node):
    """A matrix of the weight stream times x: rows of one or more tensors, one below the other.

    Attributes
    ----------
    matrix : :class:`str`
        What reports call the matrix.
    parts : tuple of (tensor's name, first row, end row)
    """

    matrix: str
    parts: tuple

    @property
    def tensors(self):
        return tuple(name for name, _, _ in self.parts)


@dataclass(frozen=True, kw_only=True)
class Rows(Node):
    """`size` numbers of another value, from `start` on, where they lie."""

    start: int


@dataclass(frozen=True, kw_only=True)
class Join(Node):
    """Values side by side."""


@dataclass(frozen=True, kw_only=True)
class Append(Node):
    """Quantize keys and values, the inputs, and append them to the KV cache. Has no value."""

    kv_heads: int


@dataclass(frozen=True, kw_only=True)
class AttendCache(Node):
    """Attention of queries to the KV cache; inputs are the queries and the :class:`Append`
    before. The value has the first `head_dim` elements of each head of `padded` ones."""

    heads: int
    kv_heads: int
    head_dim: int
    padded: int
    window: int
    cap: bool
