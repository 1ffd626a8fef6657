"""Graphs as data: names, order, listing."""

import pytest

from sw_ref.graph import Add, Embedding, Graph, Head, Linear, Norm, Repeat


NORM = Norm(name="norm", inputs=("x",), size=8, gain="gain", eps=0.5)
LINEAR = Linear(name="q", inputs=("norm",), size=4, weight="wq")
SOURCE = Linear(name="x", size=8, weight="wx")


def test_listing_and_order():
    body = (
        Linear(name="a", inputs=("layer",), size=8, weight="wa", bias="ba"),
        Add(name="b", inputs=("layer", "a"), size=8),
    )
    graph = Graph(
        (
            SOURCE,
            Repeat(name="layer", inputs=("x",), size=8, body=body, count=3),
            Norm(name="norm", inputs=("layer",), size=8, gain="gain", eps=0.5),
        )
    )
    assert [node.name for node in graph] == ["x", "layer", "a", "b", "norm"]
    assert [node.tensors for node in graph] == [("wx",), (), ("wa", "ba"), (), ("gain",)]
    assert str(graph).splitlines() == [
        "x = Linear(weight=wx, bias=None): 8",
        "layer = Repeat(x, count=3): 8",
        "    a = Linear(layer, weight=wa, bias=ba): 8",
        "    b = Add(layer, a): 8",
        "norm = Norm(layer, gain=gain, eps=0.5): 8",
    ]


def test_shapes():
    body = (
        Linear(name="a", inputs=("layer",), size=4, weight="wa", bias="ba"),
        Norm(name="norm", inputs=("a",), size=4, gain="gain", eps=0.5),
        Linear(name="b", inputs=("norm",), size=8, weight="wb"),
    )
    graph = Graph(
        (
            Embedding(name="x", size=8, weight="embedding", vocab=99),
            Repeat(name="layer", inputs=("x",), size=8, body=body, count=3),
            Norm(name="out", inputs=("layer",), size=8, gain="gain", eps=0.5),
            Head(name="head", inputs=("out",), size=99, weight="head"),
        )
    )
    assert graph.shapes(of_layers=True) == {
        "wa": (4, 8),
        "ba": (4,),
        "gain": (4,),
        "wb": (8, 4),
    }
    assert graph.shapes(of_layers=False) == {"embedding": (99, 8), "gain": (8,), "head": (99, 8)}


def test_a_tensor_has_one_shape():
    nodes = (SOURCE, NORM, LINEAR, Linear(name="k", inputs=("q",), size=4, weight="wq"))
    with pytest.raises(ValueError) as caught:
        Graph(nodes).shapes(of_layers=False)
    assert str(caught.value) == ("'k' must read 'wq' as others do, in the shape (4, 8), not (4, 4)")


@pytest.mark.parametrize(
    "nodes, message",
    [
        ((SOURCE, SOURCE), "Names of nodes must differ, 'x' is that of several"),
        ((NORM,), "'norm' must read values made before it, not 'x'"),
        ((SOURCE, LINEAR, NORM), "'q' must read values made before it, not 'norm'"),
        # What a body makes stays in it.
        (
            (
                SOURCE,
                Repeat(
                    name="layer",
                    inputs=("x",),
                    size=8,
                    body=(Norm(name="norm", inputs=("layer",), size=8, gain="gain", eps=0.5),),
                    count=2,
                ),
                LINEAR,
            ),
            "'q' must read values made before it, not 'norm'",
        ),
    ],
)
def test_refused(nodes, message):
    with pytest.raises(ValueError) as caught:
        Graph(nodes)
    assert str(caught.value) == message
