"""Families of models: a file each, which says what a family's graph is and how files call its
tensors.

A file registers a function from :class:`Hyperparameters` to :class:`~sw_ref.graph.Graph` with
:func:`family`. Nothing else lists it: this folder is searched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules

from sw_ref.graph import Graph


__all__ = ["FAMILIES", "Family", "Hyperparameters", "Names", "family"]


@dataclass(frozen=True, kw_only=True)
class Hyperparameters:
    """Numbers that a family's graph is made from; :class:`mapper.model.Model` describes them."""

    hidden: int
    heads: int
    kv_heads: int
    head_dim: int
    ffn: int
    vocab: int
    layers: int
    rope_theta: float
    rms_eps: float


@dataclass(frozen=True)
class Names:
    """What files call a tensor of a layer, without ``blk.N.`` or ``model.layers.N.``, and
    ``.weight``."""

    gguf: str
    hf: str


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Attributes
    ----------
    name : :class:`str`
    gguf, hf : :class:`str`
        ``general.architecture`` in GGUF files, ``model_type`` in a ``config.json``.
    linears, norms : mapping of :class:`str` to :class:`Names`
        A layer's tensors, by their names in the graph: matrices, and gains.
    graph : function of :class:`Hyperparameters`
        Builds the :class:`~sw_ref.graph.Graph`.
    interleaved : tuple of :class:`str`
        Matrices whose heads GGUF has with the two elements of a RoPE pair side by side.
    fused : mapping of :class:`str` to tuple of :class:`str`
        Modules that some folders have instead of several matrices, whose rows lie one below the
        other: Hugging Face's name, and the matrices' names in the graph.
    hf_fields : mapping of :class:`str` to tuple
        Values of fields of a ``config.json`` that its graph stands for, where
        :mod:`mapper.variants` would refuse them.
    """

    name: str
    gguf: str
    hf: str
    linears: Mapping[str, Names]
    norms: Mapping[str, Names]
    graph: Callable[[Hyperparameters], Graph]
    interleaved: tuple[str, ...] = ()
    fused: Mapping[str, tuple[str, ...]] = field(default_factory=dict)
    hf_fields: Mapping[str, tuple] = field(default_factory=dict)

    @property
    def title(self):
        """Its name, for messages."""
        return self.name.capitalize()


FAMILIES: dict[str, Family] = {}  # by their functions' names


def family(**about):
    """Register the function below as the graph of a :class:`Family`, which `about` describes."""

    def register(graph):
        if graph.__name__ in FAMILIES:
            raise ValueError(
                f"Families must differ in their names, {graph.__name__!r} is there already"
            )
        FAMILIES[graph.__name__] = Family(name=graph.__name__, graph=graph, **about)
        return graph

    return register


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
