"""Families of models: a file each, which says what a family's graph is and how files call its
tensors.

A file registers a function from :class:`Hyperparameters` to :class:`~sw_ref.graph.Graph` with
:func:`family`. Nothing else lists it: this folder is searched.
"""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from importlib import import_module
from pkgutil import iter_modules
from typing import Any

from sw_ref.graph import Graph

from ..hyperparameters import Hyperparameters
from ..read.fields import Fields


__all__ = ["FAMILIES", "OUTSIDE", "Family", "Fused", "Names", "called", "family"]


@dataclass(frozen=True)
class Names:
    """What files call a module: without ``blk.N.`` or ``model.layers.N.``, if it is a layer's, and
    without ``.weight`` or ``.bias``."""

    gguf: str
    hf: str


@dataclass(frozen=True)
class Fused:
    """A module that files may have instead of several, whose rows lie one below the other.

    Attributes
    ----------
    names : :class:`Names`
    parts : tuple of :class:`str`
        The matrices' names in the graph.
    by_head : :class:`bool`
        Whether a Hugging Face folder has a head's rows of each part one below the other, head after
        head.
    """

    names: Names
    parts: tuple[str, ...]
    by_head: bool = False


# Modules of no layer, by their names in the graph.
OUTSIDE = {
    "embedding": Names("token_embd", "model.embed_tokens"),
    "norm": Names("output_norm", "model.norm"),
    "head": Names("output", "lm_head"),
}


def nothing(fields, values):
    """No other fields than those that all families have."""
    return {}


@dataclass(frozen=True, kw_only=True)
class Family:
    """A family of models.

    Attributes
    ----------
    name : :class:`str`
    gguf, hf : :class:`str` or tuple of :class:`str`
        ``general.architecture`` in GGUF files, ``model_type`` in a ``config.json``; or several.
        Empty where there are no such files.
    linears, norms : mapping of :class:`str` to :class:`Names`
        A layer's modules, by their names in the graph: matrices, and norms. The bias of ``q`` is
        ``q_bias`` in the graph.
    graph : function of :class:`~mapper.hyperparameters.Hyperparameters`
        Builds the :class:`~sw_ref.graph.Graph`.
    fields : function of (:class:`~mapper.read.fields.Fields`, values)
        Reads the fields that the family has besides those of all: returns
        :class:`~mapper.hyperparameters.Hyperparameters` by name. `values` are those found so far.
    interleaved, hf_interleaved : tuple of :class:`str`
        Matrices whose heads GGUF, or a Hugging Face folder, has with the two elements of a RoPE
        pair side by side.
    fused : tuple of :class:`Fused`
    outside : mapping of :class:`str` to :class:`Names`
        Modules of no layer.
    hf_layers : :class:`str`
        What the names of layers' modules begin with in a Hugging Face folder.
    hf_transposed : tuple of :class:`str`
        Matrices that a Hugging Face folder has as (K, rows).
    hf_defaults : mapping of :class:`str`
        What a `config.json` means that lacks a field, where that is not nothing.
    hf_gain_offset : :class:`float`
        What is added to gains of a Hugging Face folder.
    tied : :class:`bool`
        Whether the head is the embedding where a ``config.json`` does not say.
    rotary : :class:`bool`
        Whether it has rotary embeddings.
    toy : mapping of :class:`str`
        :class:`~mapper.hyperparameters.Hyperparameters` of small random models that tests make:
        every feature turned on.
    """

    name: str
    gguf: str | tuple[str, ...] = ()
    hf: str | tuple[str, ...] = ()
    linears: Mapping[str, Names]
    norms: Mapping[str, Names]
    graph: Callable[[Hyperparameters], Graph]
    fields: Callable[[Fields, dict[str, Any]], dict[str, Any]] = nothing
    interleaved: tuple[str, ...] = ()
    hf_interleaved: tuple[str, ...] = ()
    fused: tuple[Fused, ...] = ()
    outside: Mapping[str, Names] = field(default_factory=lambda: OUTSIDE)
    hf_layers: str = "model.layers"
    hf_transposed: tuple[str, ...] = ()
    hf_defaults: Mapping[str, Any] = field(default_factory=dict)
    hf_gain_offset: float = 0.0
    tied: bool = False
    rotary: bool = True
    toy: Mapping[str, Any] = field(default_factory=dict)

    @property
    def title(self):
        """Its name, for messages."""
        return self.name.capitalize()

    def called(self, kind):
        """The names of architectures that files of a kind, ``gguf`` or ``hf``, have for it."""
        names = getattr(self, kind)
        return (names,) if isinstance(names, str) else names

    def completed(self, config):
        """A `config.json` with the fields that it lacks, but for those in its RoPE parameters."""
        rope = {
            key
            for name in ("rope_parameters", "rope_scaling")
            if isinstance(config.get(name), Mapping)
            for key in config[name]
        }
        return {k: v for k, v in self.hf_defaults.items() if k not in rope} | config

    def file_names(self, tensor):
        """The :class:`Names` of a tensor's module, and whether it is its ``weight`` or ``bias``."""
        modules = {**self.linears, **self.norms, **self.outside}
        if tensor in modules:
            return modules[tensor], "weight"
        return modules[tensor.removesuffix("_bias")], "bias"


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


def called(kind):
    """Families by the names of architectures that files of a kind, ``gguf`` or ``hf``, have."""
    return {name: its for its in FAMILIES.values() for name in its.called(kind)}


for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
