"""Numbers that a family's graph is made from."""

from dataclasses import dataclass

from sw_ref.rotary import RopeScaling


__all__ = ["Hyperparameters", "Rotary"]


@dataclass(frozen=True, kw_only=True)
class Rotary:
    """A table of rotary angles.

    Attributes
    ----------
    theta : :class:`float`
        Base of the frequencies.
    dim : :class:`int`
        Elements of a head that are rotated: the first ones.
    scaling : :class:`~sw_ref.rotary.RopeScaling`
    """

    theta: float
    dim: int
    scaling: RopeScaling = RopeScaling()


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """What files say of a model, besides its tensors. What a family does not have keeps its
    default, with which nothing happens.

    Attributes
    ----------
    hidden, heads, kv_heads, head_dim, ffn, vocab, layers : :class:`int`
        Sizes.
    norm_eps : :class:`float`
        Of all norms.
    rope : :class:`Rotary` or None
    local_rope : :class:`Rotary` or None
        Of layers with a window, where they have another.
    positions : :class:`int`
        Rows of a learned embedding of positions.
    window : :class:`int`
        Positions that layers with a window see; 0 if there are none.
    kinds : tuple of :class:`str`
        Of each layer, for families whose layers differ: ``full``, ``window``, or ``nope`` (without
        positions). Empty if all are alike.
    activation : :class:`str`
        Of the feed-forward network, one of :data:`sw_ref.sequences.GATES`.
    biased : frozenset of :class:`str`
        Products that have a bias, by their names in the graph.
    attention_scale : :class:`float`
        Of scores; 0 stands for 1 / sqrt(head_dim).
    attention_cap, logit_cap : :class:`float`
        Of scores, and of logits; 0 if there are none.
    embedding_scale, residual_scale, logit_scale : :class:`float`
        Factors of embeddings, of what layers add, and of logits.
    parallel : :class:`bool`
        Whether attention and the feed-forward network read the same value.
    """

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    layers: int
    norm_eps: float
    rope: Rotary | None = None
    local_rope: Rotary | None = None
    positions: int = 0
    window: int = 0
    kinds: tuple[str, ...] = ()
    activation: str = "silu"
    biased: frozenset[str] = frozenset()
    attention_scale: float = 0.0
    attention_cap: float = 0.0
    logit_cap: float = 0.0
    embedding_scale: float = 1.0
    residual_scale: float = 1.0
    logit_scale: float = 1.0
    parallel: bool = False

    @property
    def scale(self):
        """What scores are multiplied with."""
        return self.attention_scale or self.head_dim**-0.5
