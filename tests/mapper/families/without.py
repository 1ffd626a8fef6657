"""Ways to leave a feature out of a model that was read."""

from collections.abc import Callable
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any
from unittest.mock import patch

from mapper.families import FAMILIES
from mapper.read import hf_model
from sw_ref.graph import Graph, Repeat


__all__ = ["Without", "activation", "biased", "dropped", "family", "node", "shape"]


@dataclass(frozen=True)
class Without:
    """How to read, and what to compute, without a feature.

    Attributes
    ----------
    family : function of a :class:`~mapper.families.Family`
        The family that the folder is read as.
    shape : function of :class:`~mapper.hyperparameters.Hyperparameters`
        Those of the model that was read.
    graph : function of a :class:`~sw_ref.graph.Graph`
        The graph that it makes.
    """

    family: Callable = lambda its: its
    shape: Callable = lambda its: its
    graph: Callable = lambda its: its

    @contextmanager
    def read(self, path):
        """The model of a folder, without the feature."""
        name = hf_model.read(path).family
        with patch.dict(FAMILIES, {name: self.family(FAMILIES[name])}):
            model = hf_model.read(path)
        made = FAMILIES[name].graph
        changed = replace(FAMILIES[name], graph=lambda p: self.graph(made(p)))
        with patch.dict(FAMILIES, {name: changed}):
            new = self.shape(model.shape)
            yield model if new is model.shape else replace(model, shape=new, shape_at=None)


def shape(**changes):
    """With other hyperparameters: values, or functions of those that were read."""

    def change(its):
        return replace(its, **{k: v(its) if callable(v) else v for k, v in changes.items()})

    return Without(shape=change)


def biased(*names):
    """Without the biases of products."""
    return shape(biased=lambda its: its.biased - {*names})


def family(**changes):
    """Read as a family that differs."""
    return Without(family=lambda its: replace(its, **changes))


def rewired(nodes, names, renamed):
    """Nodes without those of some names, whose readers read what they read."""
    kept = []
    for each in nodes:
        inputs = tuple(renamed.get(name, name) for name in each.inputs)
        if any(each.name.endswith(name) for name in names):
            renamed[each.name] = inputs[0]
            continue
        each = replace(each, inputs=inputs)
        if isinstance(each, Repeat):
            each = replace(each, body=tuple(rewired(each.body, names, renamed)))
        kept.append(each)
    return kept


def dropped(*names):
    """Without the nodes whose names end so."""

    def change(graph):
        found = Graph(tuple(rewired(graph.nodes, names, {})))
        assert len([*found]) < len([*graph]), f"No node's name must end with {names}"
        return found

    return Without(graph=change)


def changed(nodes, suffix, change):
    """Nodes, of which those whose names end so are changed."""
    return tuple(
        replace(each, body=changed(each.body, suffix, change))
        if isinstance(each, Repeat)
        else change(each)
        if each.name.endswith(suffix)
        else each
        for each in nodes
    )


def node(suffix, **changes: Any):
    """With other fields of the nodes whose names end so."""

    def change(graph):
        found = Graph(changed(graph.nodes, suffix, lambda its: replace(its, **changes)))
        assert found != graph, f"A node's name must end with {suffix!r}"
        return found

    return Without(graph=change)


def activation(name):
    """With another activation."""
    return shape(activation=name)
