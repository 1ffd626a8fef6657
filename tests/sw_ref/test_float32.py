"""The interpreter in numpy: what PyTorch's gives, for any graph."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from sim.models.toy import toy_model
from sw_ref import graph as graph_module
from sw_ref.float32 import Float32
from sw_ref.graph import Add, Gained, Graph, Node, Repeat, Scale
from sw_ref.interpreter import TOKENS
from sw_ref.pytorch import gates, interpreter as pytorch
from sw_ref.sequences import GATES, SEQUENCES


TEXTS = [[5, 17, 80, 3, 3, 41, 22], [9], [60, 11, 2]]
INTERPRETERS = [Float32, pytorch.Float32, pytorch.MachineArithmetic]


def without_methods(interpreter):
    """Types of nodes that an interpreter has no method for."""
    types = {t for t in vars(graph_module).values() if isinstance(t, type) and issubclass(t, Node)}
    return {
        t.__name__
        for t in types - {Node, Gained, Repeat}
        if t.__module__ == graph_module.__name__ and not hasattr(interpreter, t.__name__.lower())
    }


@pytest.mark.parametrize("interpreter", INTERPRETERS, ids=lambda i: i.__module__ + i.__name__)
def test_every_type_of_node(interpreter, monkeypatch):
    assert not without_methods(interpreter)
    novel = type("Novel", (Node,), {"__module__": graph_module.__name__})
    monkeypatch.setattr(graph_module, "Novel", novel, raising=False)
    assert without_methods(interpreter) == {"Novel"}


def test_every_gate():
    """Each gate's sequence has its function in float32, which is PyTorch's."""
    x = np.linspace(-9, 9, 50, dtype=np.float32)
    assert {f"{name}_gate" for name in GATES} == {n for n in SEQUENCES if n.endswith("_gate")}
    for name, function in GATES.items():
        expected = gates.of(name).float32(torch.tensor(x), torch.ones(50)).numpy()
        np.testing.assert_allclose(
            function(x), expected, rtol=0, atol=1e-6 * np.abs(expected).max()
        )


class Changed:
    """A model with another graph, and a bias."""

    def __init__(self, model, change=lambda nodes: nodes):
        self.model, self.graph = model, Graph(tuple(change(model.graph.nodes)))

    def tensor(self, name, layer):
        if name == "bias":
            return np.linspace(-1, 1, 64, dtype=np.float32)
        return self.model.tensor(name, None if layer is None else layer % len(self.model.layers))


def with_bias(nodes):
    *start, layer, norm, head = nodes
    body = [replace(n, bias="bias") if n.name == "layer / attention / k" else n for n in layer.body]
    return (*start, replace(layer, body=tuple(body)), norm, head)


def with_scale(nodes):
    *start, layer, norm, head = nodes
    scale = Scale(name="scale", inputs=("norm",), size=norm.size, factor=0.25)
    return (*start, layer, norm, scale, replace(head, inputs=("scale",)))


def again(layer, name, given):
    """The same layers once more, of other names and of another input."""

    def new(value):
        return value.replace(layer.name, name)

    body = tuple(
        replace(node, name=new(node.name), inputs=tuple(map(new, node.inputs)))
        for node in layer.body
    )
    return replace(layer, name=name, inputs=(given,), body=body)


def two_repeats(nodes):
    *start, layer, norm, head = nodes
    return (*start, layer, again(layer, "again", "layer"), replace(norm, inputs=("again",)), head)


def nested(nodes):
    *start, layer, norm, head = nodes
    inner = again(layer, "inner", "layer")
    both = Add(name="layer / sum", inputs=("inner", "layer"), size=layer.size)
    return (*start, replace(layer, body=(inner, both)), norm, head)


@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("changed", [tuple, with_bias, with_scale, two_repeats, nested])
def test_same_as_pytorch(changed, tied):
    model = Changed(toy_model(tied=tied), changed)
    for ids, got in zip(TEXTS, Float32(model)(TEXTS), strict=True):
        expected = pytorch.Float32(model)(ids).numpy()
        assert got.shape == expected.shape == (len(ids), 96) and got.dtype == np.float32
        np.testing.assert_allclose(got, expected, rtol=0, atol=1e-4 * np.abs(expected).max())


@pytest.mark.parametrize("changed", [with_bias, with_scale, two_repeats, nested])
def test_changes_matter(changed):
    """What the test above compares is not the plain model."""
    plain, other = (next(Float32(Changed(toy_model(), c))(TEXTS)) for c in (tuple, changed))
    assert np.abs(plain - other).max() > 0.01 * np.abs(plain).max()


def test_texts_are_independent():
    model = toy_model()
    for ids, got in zip(TEXTS, Float32(model)(TEXTS), strict=True):
        np.testing.assert_array_equal(got, next(Float32(model)([ids])))


class Counted:
    """A model that counts how often each of its matrices becomes float32."""

    def __init__(self, model, made):
        self.graph, self._tensor, self.made, self.known = model.graph, model.tensor, made, {}

    def tensor(self, name, layer):
        found = self._tensor(name, layer)
        if not hasattr(found, "float32"):
            return found
        return self.known.setdefault(found.name, CountedMatrix(found, self.made))


class CountedMatrix:
    def __init__(self, linear, made):
        self.linear, self.made = linear, made

    def float32(self):
        self.made.append(self.linear.name)
        return self.linear.float32()


def test_a_layer_is_read_once():
    """All texts finish a layer before the next one is read, and each matrix becomes float32 once,
    the tied head included.
    """
    events, model = [], toy_model()
    list(Float32(Counted(model, events), events.append)(TEXTS))
    layers = [[linear.name for linear in layer.linears.values()] for layer in model.layers]
    assert events == ["embedding", *layers[0], 1, *layers[1], 2]


@pytest.mark.parametrize("interpreter", [Float32, pytorch.Float32])
def test_trace(interpreter):
    """Every node of every round, by its name."""
    run, seen = interpreter(Changed(toy_model(), two_repeats)), {}
    (logits,) = run.run(
        run.model.graph.nodes, [{TOKENS: [1, 2, 3]}], run.tensors(None), seen.__setitem__
    )
    assert list(seen)[:3] == ["embedding", "angles", "layer 0 / attention / norm"]
    assert {f"layer {n} / ffn / down" for n in range(4)} <= set(seen)
    assert len(seen) == 4 + 15 * 4 and seen["head"] is logits
    assert seen["layer 3 / attention / q"].shape == (3, 3 * 64)
