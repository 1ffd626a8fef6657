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
from .linear import ODD, RANGES, LazyLinear, Linear


__all__ = [
    "ODD",
    "RANGES",
    "LazyLinear",
    "Linear",
    "Layer",
    "Layers",
    "Model",
]


HEAD_MULTIPLE = 16  # elements of a head come in whole lines of the vector memory


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
