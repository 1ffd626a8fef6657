"""Graphs without a program: each is refused in one line that names the node."""

from dataclasses import dataclass, replace

import pytest

from host.errors import UserError
from mapper.compile import compile_model
from mapper.families import FAMILIES
from rtl.spec.config import get
from sim.models.toy import toy_model
from sw_ref.graph import Add, Angles, Attend, Graph, Linear, Node, Norm, Repeat
from sw_ref.sequences import GATES


MODEL, SMALL = toy_model(), get("small")
HIDDEN = MODEL.hidden


def compiled(monkeypatch, change):
    """Compile a Llama whose graph's nodes, (embedding, angles, layer, norm, head), were changed."""

    def graph(p):
        return Graph(tuple(change(*FAMILIES["llama"].graph(p).nodes)))

    monkeypatch.setitem(FAMILIES, "changed", replace(FAMILIES["llama"], graph=graph))
    others = {"early": MODEL.outside["norm"], "other": MODEL.outside["norm"]}
    outside = {**MODEL.outside, **others}
    return compile_model(replace(MODEL, family="changed", outside=outside), SMALL, 32)


def in_layer(**fields):
    """Change fields of nodes of the layer, by the last word of their names; `more` come first."""
    more = fields.pop("more", ())

    def change(embedding, angles, layer, *rest):
        body = [replace(n, **fields.get(n.name.split(" / ")[-1], {})) for n in layer.body]
        return embedding, angles, replace(layer, body=(*more, *body)), *rest

    return change


def nested(embedding, angles, layer, norm, head):
    inner = Repeat(
        name="layer / inner",
        inputs=("layer",),
        size=HIDDEN,
        count=2,
        body=(Add(name="twice", inputs=("layer / inner",) * 2, size=HIDDEN),),
    )
    return embedding, angles, replace(layer, body=(*layer.body, inner)), norm, head


def apart(embedding, angles, layer, norm, head):
    body = (Add(name="twice", inputs=("again",) * 2, size=HIDDEN),)
    between = Add(name="between", inputs=("layer",) * 2, size=HIDDEN)
    again = Repeat(name="again", inputs=("between",), size=HIDDEN, count=2, body=body)
    return embedding, angles, layer, between, again, replace(norm, inputs=("again",)), head


def no_layers(embedding, angles, layer, norm, head):
    return embedding, angles, replace(norm, inputs=("embedding",)), head


def linear_behind(embedding, angles, layer, norm, head):
    linear = Linear(name="adapter", inputs=("layer",), size=HIDDEN, weight="adapter")
    return embedding, angles, layer, linear, replace(norm, inputs=("adapter",)), head


def norm_before(embedding, angles, layer, norm, head):
    early = Norm(name="early", inputs=("embedding",), size=HIDDEN, gain="early", eps=1e-5)
    return embedding, angles, early, replace(layer, inputs=("early",)), norm, head


def embedding_read_twice(embedding, angles, layer, norm, head):
    body = (*layer.body, Add(name="sum", inputs=(layer.body[-1].name, "embedding"), size=HIDDEN))
    return embedding, angles, replace(layer, body=body), norm, head


@dataclass(frozen=True, kw_only=True)
class Novel(Node):
    """A type that nothing lowers."""


ATTEND = Attend(
    name="more",
    inputs=("layer",) * 3,
    size=HIDDEN,
    heads=2,
    kv_heads=2,
    head_dim=64,
    scale=0.125,
)


@pytest.mark.parametrize(
    "change, text",
    [
        (
            in_layer(silu={"function": "tanh"}),
            f"Gate must be one of {', '.join(sorted(GATES))}, not 'tanh'",
        ),
        (nested, "'layer' must have nodes, or Repeats, and not both"),
        (apart, "'again' must come right behind the other Repeats"),
        (no_layers, "'head' must come behind a Repeat, there is none"),
        (linear_behind, "'adapter' must be in a layer, as each Linear"),
        (norm_before, "'early' must be in a layer, or behind the layers"),
        (
            in_layer(more=(ATTEND,)),
            "'layer / attention / attend' must not be a second Attend, beside 'more'",
        ),
        (
            in_layer(more=(Novel(name="novel", inputs=("layer",), size=HIDDEN),)),
            "'novel' must be of a type that is lowered, not Novel",
        ),
        (
            embedding_read_twice,
            "'embedding' must be read by nothing but 'layer', which changes it",
        ),
        (
            in_layer(
                attend={"inputs": ("layer", "layer / attention / k", "layer / attention / v")}
            ),
            "'layer / attention / attend' must have queries of a product or a norm, rotated "
            "or not, not 'layer'",
        ),
    ],
)
def test_refused(monkeypatch, change, text):
    with pytest.raises(UserError) as caught:
        compiled(monkeypatch, change)
    assert str(caught.value) == f"toy: {text}; this model cannot be mapped yet"


def test_the_plain_graph_is_not(monkeypatch):
    """What changes nothing compiles: it is the changes above that are refused."""
    assert compiled(monkeypatch, lambda *nodes: nodes).length


def two_norms(embedding, angles, layer, norm, head):
    other = Norm(name="other", inputs=("norm",), size=HIDDEN, gain="other", eps=1e-5)
    return embedding, angles, layer, norm, other, replace(head, inputs=("other",))


def two_tables(embedding, angles, layer, *rest):
    other = Angles(name="local", size=64, dim=64, theta=1e6)
    body = [
        replace(n, inputs=(n.inputs[0], "local")) if "angles" in n.inputs else n for n in layer.body
    ]
    return embedding, angles, other, replace(layer, body=tuple(body)), *rest


@pytest.mark.parametrize("change", [two_norms, two_tables])
def test_several_of_a_type(monkeypatch, change):
    """Of what has a place for each node."""
    plain = compiled(monkeypatch, lambda *nodes: nodes)
    assert bytes(compiled(monkeypatch, change).dram()) != bytes(plain.dram())
