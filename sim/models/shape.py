"""Shapes of random models: drawn, compiled, and made smaller."""

from dataclasses import dataclass, replace

import numpy as np

from host.errors import UserError
from mapper.compile import compile_model
from mapper.families import FAMILIES
from mapper.hyperparameters import Hyperparameters, Rotary
from mapper.passes import layer_products, lowerable
from mapper.place import place
from mapper.sequencer_registers import COLUMN_WORDS
from rtl.spec.config import GROUP, KV_BLOCK, UNIT_BYTES
from rtl.spec.isa import WeightFormat

from .toy import toy_model


__all__ = ["Shape", "draw", "smaller"]


HIDDEN_MOST = 512  # so that a step takes a fraction of a second
FFN_MOST = 768
VOCAB_MOST = 600
LAYERS_MOST = 3
CONTEXT_MOST = 160  # five blocks of the KV cache
KV_HEADS_MOST = 3
SHARE_MOST = 9  # query heads of a KV head
EPSILON, THETA = 1e-5, 10000.0


def _graph(head_dim, **sizes):
    """What is scheduled for a Llama of these sizes."""
    rope = Rotary(theta=THETA, dim=head_dim)
    graph = FAMILIES["llama"].graph(
        Hyperparameters(head_dim=head_dim, rope=rope, norm_eps=EPSILON, **sizes)
    )
    return lowerable(graph, head_dim)


# Matrices that rewrites stack, in one product.
STACKS = sorted(
    {
        product.tensors
        for products in layer_products(
            _graph(GROUP, hidden=GROUP, heads=1, kv_heads=1, ffn=GROUP, vocab=1, layers=1)
        ).values()
        for product in products
    }
)


@dataclass(frozen=True, kw_only=True)
class Shape:
    """What a random model is made of.

    Attributes
    ----------
    hidden, heads, kv_heads, ffn, vocab, layers, context : :class:`int`
    tied : :class:`bool`
        Whether the head is the embedding.
    formats : tuple of (:class:`str`, :class:`str`)
        A matrix's name, one of the family's `linears`, or, of one layer alone, ``1.NAME``; and its
        format's.
    extremes : :class:`bool`
        Whether some rows have weights far from 1.
    seed : :class:`int`
        What chooses weights, and what the KV cache holds at first.
    """

    hidden: int
    heads: int
    kv_heads: int
    ffn: int
    vocab: int
    layers: int
    context: int
    tied: bool
    formats: tuple
    extremes: bool
    seed: int

    @property
    def share(self):
        """Query heads of a KV head."""
        return self.heads // self.kv_heads

    def vector_words(self, config):
        """Words of the vector memory that a configuration needs for it."""
        sizes = ("hidden", "heads", "kv_heads", "ffn", "vocab", "layers")
        graph = _graph(config.head_dim, **{name: getattr(self, name) for name in sizes})
        return place(graph, config, COLUMN_WORDS).words

    def image(self, config):
        """The compiled model, an :class:`~host.image.image.Image`, with something everywhere in its
        KV cache.

        Raises :exc:`~host.errors.UserError` where the configuration cannot take it.
        """
        sizes = {
            name: getattr(self, name)
            for name in (
                "hidden",
                "heads",
                "kv_heads",
                "ffn",
                "vocab",
                "layers",
                "context",
                "tied",
                "extremes",
                "seed",
            )
        }
        formats = {name: WeightFormat[fmt] for name, fmt in self.formats}
        image = compile_model(
            toy_model(head_dim=config.head_dim, formats=formats, **sizes), config, self.context
        )
        first, end = image.writable
        rng, blocks = np.random.default_rng(self.seed), (end - first) // config.kv_block_units
        history = rng.integers(0, 256, (blocks, config.kv_block_units, UNIT_BYTES)).astype(np.uint8)
        # Exponents of usual values.
        history[:, 0] = rng.integers(110, 140, (blocks, UNIT_BYTES))
        return replace(image, memory=np.concatenate([image.memory, history.reshape(-1)]))


def _few(random, most):
    """A number from 1 to `most`, small ones more often than large ones."""
    return random.choice([random.randint(1, most), max(1, round(most ** random.random()))])


def _formats(config, random, layers):
    """A format for all matrices, one for each stack, or one for each matrix of each layer."""
    one, kind = random.choice(config.formats), random.choice(["one", "one", "stacks", "all"])
    if kind == "all":
        names = sorted({name for stack in STACKS for name in stack})
        return tuple(
            (f"{n}.{name}", random.choice(config.formats)) for n in range(layers) for name in names
        )
    return tuple(
        (name, fmt)
        for stack in STACKS
        for fmt in [random.choice(config.formats) if kind == "stacks" else one]
        for name in stack
    )


def draw(config, random):
    """A random :class:`Shape` that a configuration takes, and its image.

    One that is too large gets smaller until it fits, so that many are near the limits.
    """
    kv_heads, layers = _few(random, KV_HEADS_MOST), _few(random, LAYERS_MOST)
    shape = Shape(
        hidden=GROUP * _few(random, HIDDEN_MOST // GROUP),
        kv_heads=kv_heads,
        heads=kv_heads * _few(random, SHARE_MOST),
        ffn=GROUP * _few(random, FFN_MOST // GROUP),
        vocab=_few(random, VOCAB_MOST),
        layers=layers,
        context=random.choice([KV_BLOCK, CONTEXT_MOST, _few(random, CONTEXT_MOST)]),
        tied=random.random() < 0.5,
        formats=_formats(config, random, layers),
        extremes=random.random() < 0.3,
        seed=random.getrandbits(32),
    )
    while True:
        try:
            if shape.vector_words(config) <= config.vector_words:  # or it takes long to find out
                return shape, shape.image(config)
        except UserError:
            pass
        shape = random.choice(list(smaller(shape)))


def smaller(shape):
    """Yield shapes that are smaller, or simpler, in one way."""
    for name in ("layers", "ffn", "hidden", "vocab", "context"):
        step = GROUP if name in ("ffn", "hidden") else 1
        value = getattr(shape, name)
        if value > step:
            yield replace(shape, **{name: step * (value // step // 2)})
            yield replace(shape, **{name: value - step})
    kv_heads, share = shape.kv_heads, shape.share
    if share > 1:
        yield replace(shape, heads=kv_heads * (share // 2))
        yield replace(shape, heads=kv_heads * (share - 1))
    if kv_heads > 1:
        yield replace(shape, kv_heads=kv_heads // 2, heads=kv_heads // 2 * share)
    if not shape.tied:
        yield replace(shape, tied=True)
    if shape.extremes:
        yield replace(shape, extremes=False)
