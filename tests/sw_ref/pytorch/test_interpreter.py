"""The program, on the functional machine, computes what the PyTorch model does: bit for bit."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from mapper.compile import compile_model
from mapper.families import FAMILIES
from mapper.needs import needs
from mapper.passes import lowerable
from mapper.plan import centre_shift, plan_of, stack
from mapper.quantize import integer_groups
from mapper.read.find import load
from rtl.spec.config import FUNCTIONAL, Config, get
from rtl.spec.formats import SPARSE, integers
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model
from sw_ref.graph import Graph, Repeat, Scale
from sw_ref.machine import Machine
from sw_ref.pytorch.interpreter import Float32, MachineArithmetic, capped


CONFIGS = {
    "small": get("small"),
    "wide": get("wide"),
    "odd": Config(name="odd", beat_bits=256, columns=3, lanes=16, queries=2, vector_words=16384),
    "lut": get("wide-lut"),
}


def roomy(config):
    """The configuration with more vector memory and program words, which other families need."""
    return replace(config, vector_words=1 << 17, program_words=4096)


def whole_integers(model):
    """What the mapper makes of tensors, whose rows have the shifts of centres of their matrices."""
    graph = lowerable(model.graph, max(64, model.head_dim))
    plans, order = plan_of(model.layers, graph), graph.order

    def rows_of(name, count):
        """(first row, end, shift) of a layer's tensor, ``3.gate``; of others all rows."""
        layer, _, tensor = name.rpartition(".")
        found = [
            (start, end, centre_shift(stack(matrix, model.layers[int(layer)].linears)))
            for matrix in (plans[order[int(layer)]] if layer else ())
            for each, start, end in matrix.parts
            if each == tensor
        ]
        return found or [(0, count, 0)]

    def of(name, linear):
        weights, row_scales = [], []
        for start, end, shift in rows_of(name, linear.rows):
            q = integer_groups(linear, shift)
            whole = integers(q.format, q.codes, q.scale, q.centre, q.centre_shift)
            weights.append(whole[start:end])
            row_scales.append(q.row_scale[start:end])
        return np.concatenate(weights), np.concatenate(row_scales)

    return of


def run(image, config, ids, **options):
    memory = np.zeros(image.memory_units * 64, np.uint8)
    memory[: len(image.memory)] = image.memory
    machine = Machine(config, memory, writable=image.writable)
    logits, program = [], image.instructions
    for at in range(0, len(ids), config.columns):
        machine.run(program, tokens=ids[at : at + config.columns], position=at, **options)
        logits.append(machine.logits)
    return machine, logits


def same_as_pytorch(config, model, length=37):
    """Compile and run a model, and compare every logit."""
    image = compile_model(model, config, context=64)
    ids = [int(n) for n in np.random.default_rng(1).integers(0, model.vocab, length)]
    machine, logits = run(image, config, ids)

    expected = MachineArithmetic(model, whole_integers(model))(ids).numpy()
    assert np.isfinite(expected).all() and len(np.unique(expected)) > expected.size // 2
    for at, got in zip(range(0, len(ids), config.columns), logits):
        np.testing.assert_array_equal(got, expected[at : at + config.columns])
    order = np.argsort(-expected[-1], kind="stable")[:64]
    assert [n for n, _ in machine.best] == order.tolist()
    np.testing.assert_array_equal([v for _, v in machine.best], expected[-1][order])
    return image


@pytest.mark.seconds(1)
@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("tied", [True, False])
def test_program_equals_pytorch(name, tied):
    same_as_pytorch(CONFIGS[name], toy_model(tied=tied, heads=6, kv_heads=2))


@pytest.mark.seconds(5)
@pytest.mark.parametrize(
    "sizes",
    [
        dict(ffn=96),
        dict(hidden=32, ffn=32 * 1023, layers=1, kv_heads=1),  # as many groups as there can be
        dict(heads=4, kv_heads=2, head_dim=256),
    ],
    ids=["odd", "deep", "long heads"],
)
def test_sizes_equal_pytorch(sizes):
    model = toy_model(**sizes)
    need = needs(model, CONFIGS["odd"])
    same_as_pytorch(replace(CONFIGS["odd"], **need.values(need.lacking(CONFIGS["odd"]))), model, 4)


@pytest.mark.seconds(1)
@pytest.mark.parametrize("name", ["small", "wide"])
@pytest.mark.parametrize("fmt", [*get("small-lut").formats, *FUNCTIONAL])
def test_formats_equal_pytorch(name, fmt):
    """Those of hardware, and what the functional machine alone takes."""
    config, fmt = get(f"{name}-lut"), WeightFormat[fmt]
    if fmt.name in FUNCTIONAL:
        config = replace(config, formats=("S8", fmt.name))
    model = toy_model(heads=6, kv_heads=2, hidden=160, ffn=320, format=fmt)
    image = same_as_pytorch(config, model, length=9)
    assert image.formats == [f.name for f in WeightFormat if f in (WeightFormat.S8, fmt)]
    assert image.patterns == (["2:16", "4:16", "8:16", "2:4"] if fmt in SPARSE else [])


@pytest.mark.seconds(1)
@pytest.mark.parametrize(
    "name", ["tiny", "tiny-sparse", "tiny-mixed", "tiny-q1", "tiny-q2", "tiny-q3"]
)
def test_shipped_models_equal_pytorch(name):
    same_as_pytorch(CONFIGS["lut"], load(name), length=5)


@pytest.mark.seconds(2)
@pytest.mark.parametrize("family", FAMILIES)
def test_families_equal_pytorch(family):
    model = toy_model(heads=6, kv_heads=2, family=family)
    config = replace(roomy(CONFIGS["odd"]), lanes=8, score_cap=model.shape.attention_cap)
    same_as_pytorch(config, model, length=50 if model.shape.window else 9)


def between(p):
    """A Llama whose keys are scaled before they are rotated, and `up` before the gate: products of
    a norm that others than rotation and gate read."""
    graph = FAMILIES["llama"].graph(p)
    layer = next(node for node in graph.nodes if isinstance(node, Repeat))
    body = []
    for node in layer.body:
        for name in ("layer / attention / k", "layer / ffn / up"):
            if name in node.inputs:
                size = next(n.size for n in layer.body if n.name == name)
                body.append(Scale(name=f"{name} / scaled", inputs=(name,), size=size, factor=0.7))
                inputs = (f"{name} / scaled" if each == name else each for each in node.inputs)
                node = replace(node, inputs=tuple(inputs))
        body.append(node)
    new = replace(layer, body=tuple(body))
    return Graph(tuple(new if node is layer else node for node in graph.nodes))


def scaled(p):
    """A Llama whose embedding and residuals are scaled, as Granite's are."""
    graph = FAMILIES["llama"].graph(p)
    embedding, angles, layer, *rest = graph.nodes
    body = list(layer.body)
    for name in ("layer / attention / o", "layer / ffn / down"):
        at = next(n for n, node in enumerate(body) if node.name == name)
        body.insert(
            at + 1, Scale(name=f"{name} / scale", inputs=(name,), size=p.hidden, factor=0.22)
        )
        body[at + 2] = replace(body[at + 2], inputs=(body[at + 2].inputs[0], f"{name} / scale"))
    start = Scale(name="scaled", inputs=("embedding",), size=p.hidden, factor=12.0)
    return Graph(
        (embedding, angles, start, replace(layer, inputs=("scaled",), body=tuple(body)), *rest)
    )


def without_norm(p):
    """A Llama without the norm before attention, whose products read what the layer reads."""
    graph = FAMILIES["llama"].graph(p)
    embedding, angles, layer, *rest = graph.nodes
    norm, *body = layer.body
    inputs = {norm.name: layer.name}
    body = [replace(n, inputs=tuple(inputs.get(x, x) for x in n.inputs)) for n in body]
    return Graph((embedding, angles, replace(layer, body=tuple(body)), *rest))


@pytest.mark.seconds(1)
@pytest.mark.parametrize("graph", [scaled, between, without_norm])
@pytest.mark.parametrize("name", ["small", "odd"])
def test_another_family(monkeypatch, name, graph):
    """The scheduler knows nodes: a graph of another shape is a legal program with the interpreter's
    bits.
    """
    monkeypatch.setitem(FAMILIES, "other", replace(FAMILIES["llama"], graph=graph))
    same_as_pytorch(
        CONFIGS[name], replace(toy_model(heads=6, kv_heads=2), family="other"), length=5
    )


def test_trace_names_nodes():
    """Every node of every layer, by its name, and its value last of all is the logits'."""
    seen = {}
    model = toy_model()
    logits = Float32(model)([1, 2, 3], trace=seen.__setitem__)
    assert list(seen)[:3] == ["embedding", "angles", "layer 0 / attention / norm"]
    assert {"layer 0 / ffn / down", "layer 1 / ffn / down", "head"} <= set(seen)
    assert len(seen) == 4 + 15 * 2
    torch.testing.assert_close(seen["head"], logits, rtol=0, atol=0)
    assert seen["layer 1 / attention / q"].shape == (3, model.heads * model.head_dim)


@pytest.mark.seconds(1)
@pytest.mark.parametrize("family", FAMILIES)
def test_machine_arithmetic_is_near_float32(family):
    model = toy_model(family=family)
    ids = [5, 17, 80, 3, 3, 41, 22, 9, 60, 11]
    exact = Float32(model)(ids)

    def of(name, linear):
        q = integer_groups(linear)
        return integers(q.format, q.codes, q.scale, q.centre, q.centre_shift), q.row_scale

    machine = capped(MachineArithmetic(model, of)(ids), model.shape.logit_cap)
    error = (machine - exact).norm() / exact.norm()
    # int8 activations through two layers of sharp random weights; of others more, or biases too.
    assert error < (0.08 if family == "llama" else 0.1)
    near = torch.nn.functional.cosine_similarity(machine, exact).min()
    assert near > (0.995 if family == "llama" else 0.985)


@pytest.mark.seconds(1)
@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("family", ["llama", "gemma3", "gptneox"])
@pytest.mark.parametrize("name", CONFIGS)
def test_tokens_order_every_hazard(name, family, seed):
    """Units that run in any order between the tokens give the same bits."""
    config, model = roomy(CONFIGS[name]), toy_model(family=family)
    image = compile_model(model, config, context=64)
    ids = [1, 2, 3, 4, 5, 6, 7]
    _, expected = run(image, config, ids)
    _, got = run(image, config, ids, schedule=seed)
    for a, b in zip(expected, got):
        np.testing.assert_array_equal(a, b)
