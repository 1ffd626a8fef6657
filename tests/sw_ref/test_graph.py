"""Graphs as data: names, order, listing."""

import pytest

from sw_ref.graph import Add, Attend, Graph, Linear, Norm, Repeat, Rope


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
        "    b = Add(layer, a, factor=1.0): 8",
        "norm = Norm(layer, gain=gain, eps=0.5, heads=1): 8",
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


def test_shapes_of_a_layers_tensors():
    linear = Linear(name="a", inputs=("norm",), size=4, weight="wa", bias="ba")
    graph = Graph((SOURCE, Repeat(name="x2", inputs=("x",), size=8, body=(), count=1)))
    assert graph.layer_shapes == {"x2": {}}
    body = (Norm(name="norm", inputs=("layer",), size=8, gain="gain", eps=0.5), linear)
    graph = Graph((SOURCE, Repeat(name="layer", inputs=("x",), size=8, body=body, count=3)))
    assert graph.layer_shapes == {"layer": {"gain": (8,), "wa": (4, 8), "ba": (4,)}}


def test_layers_in_a_pattern():
    """Kinds of layers, which of them each layer is of, and its tensors."""

    def layer(name, x, count):
        body = (Norm(name=f"{name} / norm", inputs=(name,), size=8, gain=f"g{name}", eps=0.5),)
        return Repeat(name=name, inputs=(x,), size=8, body=body, count=count)

    body = (layer("a", "both", 2), layer("b", "a", 1))
    both = Repeat(name="both", inputs=("x",), size=8, body=body, count=2)
    graph = Graph((SOURCE, both, layer("c", "both", 1)))
    assert graph.order == ["a", "a", "b", "a", "a", "b", "c"]
    assert list(graph.kinds) == ["a", "b", "c"] and both.layers == 6
    assert graph.layer_shapes == {name: {f"g{name}": (8,)} for name in "abc"}
    assert graph.repeats == (both, graph.kinds["c"])


def attending(*queries):
    """A graph whose queries, called q, come of some nodes."""
    heads = {"heads": 1, "kv_heads": 1, "head_dim": 64, "scale": 1 / 8}
    return Graph(
        (SOURCE, *queries, Attend(name="attend", inputs=("q", "x", "x"), size=64, **heads))
    )


@pytest.mark.parametrize(
    "queries, tensor",
    [
        ([Linear(name="q", inputs=("x",), size=64, weight="wq")], "wq"),
        (
            [
                Linear(name="p", inputs=("x",), size=64, weight="wq"),
                Rope(name="q", inputs=("p", "x"), size=64, head_dim=64),
            ],
            "wq",
        ),
        ([Norm(name="q", inputs=("x",), size=64, gain="gain", eps=0.5)], "gain"),
    ],
)
def test_the_softmax_factor_is_the_last_tensors(queries, tensor):
    assert attending(*queries).softmax_factors == {
        tensor: pytest.approx(1.4426950408889634 / 8, rel=1e-15)
    }


def test_queries_of_no_tensor():
    message = "^'attend' must have queries of a product or a norm, rotated or not, not 'q'$"
    with pytest.raises(ValueError, match=message):
        attending(Add(name="q", inputs=("x", "x"), size=64)).softmax_factors
