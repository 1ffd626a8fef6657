"""Families of models: a file each, which says what a family's graph is and how files call its
tensors.

A file registers a function from :class:`Hyperparameters` to :class:`~sw_ref.graph.Graph` with
:func:`family`. Nothing else lists it: this folder is searched.
"""

from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from sw_ref.graph import Graph


__all__ = ["FAMILIES", "Family", "Hyperparameters", "Names", "family", "family_of", "known"]


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

    def of_model(self) -> dict[str, Any]:
        """All but the number of layers: parameters of a :class:`~mapper.model.Model`."""
        values = asdict(self)
        del values["layers"]
        return values


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
    gguf, hf : :class:`str`
        ``general.architecture`` in GGUF files, ``model_type`` in a ``config.json``.
    linears, norms : mapping of :class:`str` to :class:`Names`
        A layer's tensors, by their names in the graph: matrices, and gains.
    neighbours : :class:`bool`
        Whether a rotary embedding's pairs are neighbours in the rows of GGUF files, which llama.cpp
        calls "normal", rather than half a head apart ("neox").
    graph : function of :class:`Hyperparameters`
        Builds the :class:`~sw_ref.graph.Graph`.
    """

    gguf: str
    hf: str
    linears: Mapping[str, Names]
    norms: Mapping[str, Names]
    neighbours: bool
    graph: Callable[[Hyperparameters], Graph]

    def shapes(self, hyperparameters):
        """Shapes of a layer's tensors by name: (rows, K) of matrices, (size,) of gains."""
        return self.graph(hyperparameters).shapes(of_layers=True)


FAMILIES: dict[str, Family] = {}  # by their functions' names


def family(*, gguf, hf, linears, norms, neighbours=False):
    """Register the function below as the graph of a :class:`Family`."""

    def register(graph):
        if graph.__name__ in FAMILIES:
            raise ValueError(
                f"Families must differ in their names, {graph.__name__!r} is there already"
            )
        FAMILIES[graph.__name__] = Family(
            gguf=gguf, hf=hf, linears=linears, norms=norms, neighbours=neighbours, graph=graph
        )
        return graph

    return register


def family_of(kind, called):
    """Name of the family that files of a kind, ``gguf`` or ``hf``, call `called`; None if there is
    none."""
    return next((name for name, its in FAMILIES.items() if getattr(its, kind) == called), None)


def known(kind):
    """What files of a kind call the families, for messages."""
    return " or ".join(repr(getattr(its, kind)) for its in FAMILIES.values())


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
