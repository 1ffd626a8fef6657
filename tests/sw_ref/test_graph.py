"""Graphs as data: names, order, listing."""

import pytest

from sw_ref.graph import Add, Graph, Linear, Norm, Repeat


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
