"""A language model as the mapper sees it, whichever file it came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import cache, cached_property, lru_cache

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP, HEAD_DIMS
from rtl.spec.formats import WeightFormat

from .families import FAMILIES
from .hyperparameters import Hyperparameters
from .linear import ODD, RANGES, LazyLinear, Linear, relative


__all__ = [
    "ODD",
    "RANGES",
    "LazyLinear",
    "Linear",
    "Layer",
    "Layers",
    "Model",
    "half_split",
    "round_s8",
    "round_u",
]


HEAD_MULTIPLE = 16  # elements of a head come in whole lines of the vector memory
REFITS = 8  # of a group's line to its few codes, after which hardly any code changes


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One decoder layer: tensors by their names in the graph.

    Attributes
    ----------
    linears : :class:`dict` of :class:`str` to :class:`Linear` or :class:`LazyLinear`
    vectors : :class:`dict` of :class:`str` to float32 arrays
        Gains and biases.
    """

    linears: Mapping[str, Linear | LazyLinear]
    vectors: dict[str, np.ndarray]

    def tensor(self, name):
        """The tensor of a name."""
        return self.linears[name] if name in self.linears else self.vectors[name]


class Layers(Sequence):
    """Layers that are read when asked for, so that only the last one lies in memory.

    Parameters
    ----------
    count : :class:`int`
    load : function of a number
        Reads the :class:`Layer`.
    formats : function of a number, or None
        Returns the formats of the layer's matrices by name, if that takes less than reading them.
    """

    def __init__(
        self,
        count: int,
        load: Callable[[int], Layer],
        formats: Callable[[int], dict[str, WeightFormat]] | None = None,
    ):
        self._count, self._load = count, lru_cache(maxsize=1)(load)
        self._formats = formats and cache(formats)  # which may look at all blocks of a file

    def formats(self, index):
        """Formats of a layer's matrices by name."""
        if self._formats is not None:
            return self._formats(index)
        return {name: linear.format for name, linear in self._load(index).linears.items()}

    def __len__(self):
        return self._count

    def __getitem__(self, index):
        if isinstance(index, slice):
            return [self[n] for n in range(*index.indices(self._count))]
        if not -self._count <= index < self._count:
            raise IndexError(f"Layer must be below {self._count}, not {index}")
        return self._load(index % self._count)


@dataclass(frozen=True, kw_only=True, eq=False)
class Model:
    """A model, of a family. Rows of Q and K are in half-split RoPE order (Hugging Face's).

    Attributes
    ----------
    name : :class:`str`
        What the file calls the model.
    path : :class:`str`
        Where it was read from, for messages.
    sha256 : :class:`str`
        Digest of what it was read from.
    shape : :class:`~mapper.hyperparameters.Hyperparameters`
        Of the whole context, see :meth:`at`.
    context : :class:`int`
        Positions the model was trained for.
    eos : tuple of :class:`int`
        Tokens that end an answer.
    bos : :class:`int` or None
        Token put before every prompt, if any.
    tokenizer : :class:`str`
        JSON that :meth:`host.language.tokenizer.Tokenizer.from_json` understands.
    chat_template : :class:`str` or None
        Jinja template of the model's conversations.
    layers : sequence of :class:`Layer`
    outside : :class:`dict` of :class:`str` to float32 arrays
        Tensors of no layer, but for the embedding and the head: the last norm's ``norm``.
    family : :class:`str`
        Which of :data:`mapper.families.FAMILIES` it is of.
    shape_at : function of a number of positions, or None
        The `shape` where so many are compiled, if it depends on that.
    """

    name: str
    path: str
    sha256: str
    shape: Hyperparameters
    context: int
    eos: tuple[int, ...]
    bos: int | None
    tokenizer: str
    chat_template: str | None
    layers: Sequence[Layer]
    outside: Mapping[str, np.ndarray]
    load_embedding: Callable[[], Linear | LazyLinear] = field(repr=False)
    load_head: Callable[[], Linear | LazyLinear] | None = field(repr=False, default=None)
    family: str = "llama"
    shape_at: Callable[[int], Hyperparameters] | None = field(repr=False, default=None)

    def __post_init__(self):
        def check(ok, what, value):
            if not ok:
                raise UserError(f"{self.path}: {what}, not {value!r}; this model cannot be mapped")

        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab"):
            check(
                1 <= getattr(self, name) < 1 << 24,
                f"{name} must be from 1 to 16777215",
                getattr(self, name),
            )
        check(1 <= self.context < 1 << 24, "context must be from 1 to 16777215", self.context)
        check(1 <= len(self.layers) <= 1024, "layers must be from 1 to 1024", len(self.layers))
        check(
            self.head_dim % HEAD_MULTIPLE == 0 and self.head_dim <= HEAD_DIMS[-1],
            f"head_dim must be a multiple of {HEAD_MULTIPLE} up to {HEAD_DIMS[-1]}",
            self.head_dim,
        )
        check(
            self.heads % self.kv_heads == 0,
            f"heads must be a multiple of the {self.kv_heads} KV heads",
            self.heads,
        )
        for name in ("hidden", "ffn"):
            check(
                getattr(self, name) % GROUP == 0,
                f"{name} must be a multiple of {GROUP}",
                getattr(self, name),
            )
        queries = self.heads * self.head_dim
        check(queries % GROUP == 0, f"heads times head_dim must be a multiple of {GROUP}", queries)
        fp32, shape = np.finfo(np.float32), self.shape
        # A base below 1 has frequencies that grow; no smaller eps keeps the norm of zeros finite.
        for name, value, low, high in (
            *(
                ("RoPE's theta", rotary.theta, 1.0, float(fp32.max))
                for rotary in (shape.rope, shape.local_rope)
                if rotary is not None
            ),
            ("norm_eps", shape.norm_eps, float(fp32.tiny), 1.0),
        ):
            check(low <= value <= high, f"{name} must be from {low:.8g} to {high:.8g}", value)
        for rotary in (shape.rope, shape.local_rope):
            if rotary is not None:
                check(
                    rotary.dim % 2 == 0 and rotary.dim <= self.head_dim,
                    f"the rotated part of a head must be even, and at most {self.head_dim}",
                    rotary.dim,
                )
        for token in (*self.eos, *([] if self.bos is None else [self.bos])):
            check(0 <= token < self.vocab, f"special tokens must be below {self.vocab}", token)

    hidden, heads, kv_heads, head_dim, ffn, vocab = (
        property(lambda self, name=name: getattr(self.shape, name), doc=f"`shape.{name}`.")
        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab")
    )

    def at(self, context):
        """The model, compiled for `context` positions: some scalings of RoPE depend on it."""
        return replace(self, shape=self.shape_at(context)) if self.shape_at else self

    @property
    def tied(self):
        """Whether the head is the embedding."""
        return self.load_head is None

    @cached_property
    def graph(self):
        """What it computes, a :class:`~sw_ref.graph.Graph`."""
        return FAMILIES[self.family].graph(replace(self.shape, layers=len(self.layers)))

    def tensor(self, name, layer=None):
        """What the graph calls `name`, of a layer or of none: a :class:`Linear`, or float32
        gains.
        """
        if layer is not None:
            return self.layers[layer].tensor(name)
        return self.outside[name] if name in self.outside else getattr(self, name)

    @cached_property
    def formats(self):
        """Names of the formats that its matrices are in."""
        found = {self.embedding.format, self.head.format}
        for n in range(len(self.layers)):
            its = self.layers
            found |= (
                set(its.formats(n).values())
                if isinstance(its, Layers)
                else {linear.format for linear in its[n].linears.values()}
            )
        return frozenset(fmt.name for fmt in found)

    @cached_property
    def embedding(self):
        """The embedding, :class:`Linear` (vocab, hidden)."""
        return self.load_embedding()

    @cached_property
    def head(self):
        """The head, :class:`Linear` (vocab, hidden): the embedding itself when they are tied."""
        return self.embedding if self.load_head is None else self.load_head()


def half_split(heads, head_dim, dim=None, interleaved=True):
    """Row order that turns a file's Q or K into that of the graph: elements i and i + head_dim / 2
    of a head are a pair. Of a file's head the first `dim` elements are rotated, by default all: in
    pairs side by side, if `interleaved`, else those of each pair dim / 2 apart."""
    dim = head_dim if dim is None else dim
    rotated, rest = np.arange(dim), np.arange(dim, head_dim).reshape(2, -1)
    pairs = rotated.reshape(-1, 2).T if interleaved else rotated.reshape(2, -1)
    order = np.concatenate([pairs, rest], 1).reshape(-1)
    return (np.arange(heads)[:, None] * head_dim + order).reshape(-1)


def round_s8(name, source, weights):
    """Round float32 (rows, K) to ``S8``: the largest magnitude of a group becomes 127."""
    groups = weights.reshape(weights.shape[0], -1, GROUP)
    d = np.abs(groups).max(-1) / np.float32(127)
    codes = np.rint(groups / np.where(d > 0, d, 1)[..., None]).clip(-127, 127)
    off, squares = rounding(groups, codes, d)
    return Linear(
        name=name,
        source=source,
        format=WeightFormat.S8,
        codes=codes.astype(np.int8).reshape(weights.shape),
        d=d,
        rounding=off,
        squares=squares,
    )


def round_u(name, source, weights, bits):
    """Round float32 (rows, K) to codes of `bits` bits, 1 to 4: evenly spaced values for each group.

    In 4 bits they reach from a group's minimum to its maximum. Fewer are too few for that: they are
    moved to where the squared error is least.
    """
    groups = weights.reshape(weights.shape[0], -1, GROUP)
    top = np.float32((1 << bits) - 1)
    m = groups.min(-1)
    d = groups.max(-1) / top - m / top
    codes = nearest(groups, d, m, top)
    for _ in range(REFITS if bits < 4 else 0):
        d, m = line(groups, codes)
        codes = nearest(groups, d, m, top)
    off, squares = rounding(groups, codes, d, m)
    return Linear(
        name=name,
        source=source,
        format=ODD[bits],
        codes=codes.astype(np.uint8).reshape(weights.shape),
        d=d,
        m=m,
        rounding=off,
        squares=squares,
    )


def rounding(groups, codes, d, m=None):
    """Root mean square of what rounding groups of weights to d * code + m changes, relative to
    theirs; and the sum of their squares."""
    change = codes * d[..., None] - groups
    if m is not None:
        change += m[..., None]
    squares, lost = (
        float(np.einsum("rgk,rgk->", x, x, dtype=np.float64)) for x in (groups, change)
    )
    return relative(lost, squares), squares


def nearest(groups, d, m, top):
    """Codes from 0 to `top` that stand for the groups' values best."""
    return np.rint((groups - m[..., None]) / np.where(d > 0, d, 1)[..., None]).clip(0, top)


def line(groups, codes):
    """The d and m of each group with the least squared error, given its codes."""
    groups = groups.astype(np.float64)
    middle = codes.mean(-1, dtype=np.float64)
    apart = codes - middle[..., None]
    spread = (apart * apart).mean(-1)
    d = (apart * groups).mean(-1) / np.where(spread > 0, spread, 1)
    return d.astype(np.float32), (groups.mean(-1) - d * middle).astype(np.float32)
