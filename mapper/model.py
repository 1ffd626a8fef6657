"""A language model as the mapper sees it, whichever file it came from."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, fields
from functools import cache, cached_property, lru_cache

import numpy as np

from host.errors import UserError
from rtl.spec.config import GROUP, HEAD_DIMS
from rtl.spec.formats import WeightFormat

from .families import FAMILIES, Hyperparameters
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


REFITS = 8  # of a group's line to its few codes, after which hardly any code changes


@dataclass(frozen=True, kw_only=True, eq=False)
class Layer:
    """One decoder layer: tensors by their names in the graph.

    Attributes
    ----------
    linears : :class:`dict` of :class:`str` to :class:`Linear` or :class:`LazyLinear`
    gains : :class:`dict` of :class:`str` to float32 arrays
        Of norms.
    """

    linears: Mapping[str, Linear | LazyLinear]
    gains: dict[str, np.ndarray]

    def tensor(self, name):
        """The tensor of a name."""
        return self.linears[name] if name in self.linears else self.gains[name]


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
    hidden, heads, kv_heads, head_dim, ffn, vocab : :class:`int`
        Shape. The number of layers is ``len(model.layers)``.
    context : :class:`int`
        Positions the model was trained for.
    rope_theta, rms_eps : :class:`float`
    eos : tuple of :class:`int`
        Tokens that end an answer.
    bos : :class:`int` or None
        Token put before every prompt, if any.
    tokenizer : :class:`str`
        JSON that :meth:`host.language.tokenizer.Tokenizer.from_json` understands.
    chat_template : :class:`str` or None
        Jinja template of the model's conversations.
    layers : sequence of :class:`Layer`
    norm : float32 (hidden,)
        The last norm.
    family : :class:`str`
        Which of :data:`mapper.families.FAMILIES` it is of.
    """

    name: str
    path: str
    sha256: str
    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    context: int
    rope_theta: float
    rms_eps: float
    eos: tuple[int, ...]
    bos: int | None
    tokenizer: str
    chat_template: str | None
    layers: Sequence[Layer]
    norm: np.ndarray
    load_embedding: Callable[[], Linear | LazyLinear] = field(repr=False)
    load_head: Callable[[], Linear | LazyLinear] | None = field(repr=False, default=None)
    family: str = "llama"

    def __post_init__(self):
        def check(ok, what, value):
            if not ok:
                raise UserError(f"{self.path}: {what}, not {value!r}; this model cannot be mapped")

        for name in ("hidden", "heads", "kv_heads", "head_dim", "ffn", "vocab", "context"):
            check(
                1 <= getattr(self, name) < 1 << 24,
                f"{name} must be from 1 to 16777215",
                getattr(self, name),
            )
        check(1 <= len(self.layers) <= 1024, "layers must be from 1 to 1024", len(self.layers))
        check(
            self.head_dim in HEAD_DIMS,
            f"head_dim must be one of {', '.join(map(str, HEAD_DIMS))}",
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
        fp32 = np.finfo(np.float32)
        # A base below 1 has frequencies that grow; no smaller eps keeps the norm of zeros finite.
        for name, low, high in (
            ("rope_theta", 1.0, float(fp32.max)),
            ("rms_eps", float(fp32.tiny), 1.0),
        ):
            value = getattr(self, name)
            check(low <= value <= high, f"{name} must be from {low:.8g} to {high:.8g}", value)
        for token in (*self.eos, *([] if self.bos is None else [self.bos])):
            check(0 <= token < self.vocab, f"special tokens must be below {self.vocab}", token)

    @property
    def tied(self):
        """Whether the head is the embedding."""
        return self.load_head is None

    @cached_property
    def graph(self):
        """What it computes, a :class:`~sw_ref.graph.Graph`."""
        values = {f.name: getattr(self, f.name) for f in fields(Hyperparameters)}
        return FAMILIES[self.family].graph(Hyperparameters(**values | {"layers": len(self.layers)}))

    def tensor(self, name, layer=None):
        """What the graph calls `name`, of a layer or of none: a :class:`Linear`, or float32
        gains.
        """
        return getattr(self, name) if layer is None else self.layers[layer].tensor(name)

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


def half_split(heads, head_dim):
    """Row order that turns GGUF's interleaved-RoPE Q and K into half-split order."""
    rows = np.arange(heads * head_dim).reshape(heads, head_dim // 2, 2)
    return rows.swapaxes(1, 2).reshape(-1)


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
