"""Mixtures of formats: each matrix of each layer has its own, in one program."""

from dataclasses import replace

import numpy as np
import pytest

from host.errors import UserError
from mapper.compile import Compilation, compile_model
from mapper.dump import dump
from mapper.model import Layers
from mapper.passes import lowerable
from mapper.plan import centre_shift, plan_of, stack
from mapper.quantize import integer_groups
from rtl.spec.config import UNIT_BYTES, get
from rtl.spec.descriptor import Descriptor
from rtl.spec.isa import MatMul, Stream, WeightFormat, decode
from sim.functional import ModelDevice
from sim.models.toy import mixed_model, toy_model
from sw_ref.pytorch.interpreter import Float32
from sw_ref.weight_stream import WeightStream


U4, S8, TERNARY = WeightFormat.U4, WeightFormat.S8, WeightFormat.TERNARY


def names(model):
    """Matrices of the plan."""
    return [matrix.name for matrix in plan_of(model.layers, lowerable(model.graph, 64))["layer"]]


ONE = ["kv", "q", "o", "gate_up0", "gate_up1", "gate_up2", "down"]


@pytest.mark.parametrize(
    "formats, become",
    [
        ({}, ONE),
        ({"down": S8, "1.o": S8, "0.q": TERNARY}, ONE),  # layers differ, and no stack does
        ({"1.k": S8, "1.v": S8}, ONE),
        ({"1.v": S8}, ["kv: k", "kv: v", *ONE[1:]]),  # in all layers, as there is one program
        (
            {"0.up": S8},
            [
                *ONE[:3],
                *(f"gate_up{n}: {part}" for n in range(3) for part in ("gate", "up")),
                "down",
            ],
        ),
    ],
)
def test_parts_that_differ_are_matrices_of_their_own(formats, become):
    assert names(toy_model(formats=formats)) == become


def test_read_when_asked_for():
    """What a file says of its formats is enough to plan."""
    model, read = toy_model(formats={"1.v": S8}), []
    formats = [{name: its.format for name, its in layer.linears.items()} for layer in model.layers]
    lazy = replace(model, layers=Layers(2, read.append, formats.__getitem__))
    assert names(lazy) == names(model) and not read


def test_shifts_are_each_layers_own():
    """A layer whose groups have centres far off zero has another shift than one without."""
    model = toy_model()
    far = model.layers[1].linears["down"]
    far = replace(far, m=far.m + 40 * np.abs(far.d) * np.sign(far.m))
    layers = [
        model.layers[0],
        replace(model.layers[1], linears=model.layers[1].linears | {"down": far}),
    ]
    model = replace(model, layers=Layers(2, layers.__getitem__))
    matrix = plan_of(model.layers, lowerable(model.graph, 64))["layer"][-1]
    linears = [stack(matrix, layer.linears) for layer in layers]
    shifts = [centre_shift(linear) for linear in linears]
    assert shifts[0] < shifts[1]
    errors = [integer_groups(linears[1], shift).error for shift in shifts]
    assert errors[1] < errors[0]
    found = [its.centre for its in met(compile_model(model, get("small"), 32), get("small"))]
    assert [found[6], found[13]] == shifts


@pytest.mark.parametrize("fmt", [WeightFormat.U2, S8])
def test_parts_with_scales_of_rows_and_of_groups(fmt):
    """A matrix of both, in one format, has the weights of both."""
    model, rng = toy_model(format=fmt), np.random.default_rng(4)
    linears = dict(model.layers[0].linears)
    its = linears["k"]
    d = rng.normal(0, 1, (its.rows, 1)).astype(np.float32)
    linears["k"] = replace(its, d=d, m=None)
    matrix = plan_of(model.layers, lowerable(model.graph, 64))["layer"][0]
    want = np.concatenate([linears[name].float32() for name in "kv"])
    assert linears["k"].by_row and not linears["v"].by_row
    np.testing.assert_allclose(stack(matrix, linears).float32(), want, rtol=1e-5)


def met(image, config):
    """The descriptors that the products of a step meet, in order."""
    machine, found = ModelDevice(config), []
    stream = WeightStream(config, image.memory)

    def trace(pc, insn):
        if isinstance(insn, MatMul):
            found.append(stream.front())
        stream.follow(insn)

    machine.trace = trace
    machine.load(image)
    machine.step([1], 0, True)
    return found


def run(image, config, ids):
    """Logits of the last of some tokens."""
    device = ModelDevice(config)
    device.load(image)
    for at, token in enumerate(ids):
        device.step([token], at, True)
    return device.logits[0]


@pytest.mark.seconds(4)
@pytest.mark.parametrize("name", ["small", "wide-lut", "small-dspchain"])
def test_every_format_in_turn(name):
    """It runs as one of its own weights in float32 does, within what int8 activations cost."""
    config = get(name)
    model = mixed_model(config, len(config.formats), vocab=300)
    image = compile_model(model, config, context=32)
    assert {its.format for its in met(image, config)} == set(config.weight_formats)
    assert image.formats == list(config.formats)
    ids = [5, 17, 80, 3]
    exact, got = Float32(model)(ids).numpy()[-1], run(image, config, ids)
    error = np.linalg.norm(got - exact) / np.linalg.norm(exact)
    assert error < 0.15 and np.corrcoef(got, exact)[0, 1] > 0.99


def test_program_does_not_grow():
    """128 layers of alternating types have the instructions of 2; and of one type, but that
    stacks of several are several products."""
    config = get("small-lut")
    sizes = {"hidden": 32, "heads": 1, "kv_heads": 1, "ffn": 64, "vocab": 16}
    two, many = (compile_model(mixed_model(config, n, **sizes), config, 32) for n in (2, 128))
    assert two.length == many.length
    products = [
        sum(isinstance(decode(word), MatMul) for word in image.instructions)
        for image in (two, compile_model(toy_model(**sizes), config, 32))
    ]
    assert products == [7 + 1, 5 + 1]
    assert len(many.report["layer_units"]) == 128
    one = toy_model(layers=128, formats={f"{n}.down": S8 for n in range(0, 128, 2)}, **sizes)
    plain = toy_model(layers=2, **sizes)
    assert compile_model(one, config, 32).length == compile_model(plain, config, 32).length
    found = [its.format for its in met(many, config)]
    assert len(found) == 128 * 7 + 1 and set(found) == set(config.weight_formats)


def test_report_has_a_line_for_each_format():
    model = toy_model(layers=3, formats={"1.down": S8, "v": S8})
    report = compile_model(model, get("small"), 32).report
    found = {
        (op["operation"], op["format"]): (op["times"], op["bytes"]) for op in report["operations"]
    }
    assert {times for times, _ in found.values()} == {1, 2, 3}
    assert found["down", "U4"][0] == 2 and found["down", "S8"][0] == 1
    assert found["kv: k", "U4"][0] == found["kv: v", "S8"][0] == 3
    assert found["down", "S8"][1] > found["down", "U4"][1] / 2
    assert report["weight_bytes"] == sum(size for _, size in found.values())
    assert report["scale_error"]["down"]["max"] > 0


def test_descriptor_is_counted():
    """A unit in front of each matrix, of the layers and of the head; none before a row's block."""
    image = compile_model(toy_model(), get("small"), 32)
    program = [decode(word) for word in image.instructions]
    embed, layers, head = (insn for insn in program if isinstance(insn, Stream))
    at = [unit * UNIT_BYTES for unit in (layers.addr, head.addr)]
    first, last = (Descriptor.unpack(image.memory[n : n + UNIT_BYTES]) for n in at)
    assert (first.rows, first.groups, first.format) == (128, 4, U4)
    assert (last.rows, last.groups, last.format) == (96, 4, S8)
    assert embed.addr == head.addr + 1
    assert image.weight_bytes == sum(insn.size for insn in (embed, layers, head)) * UNIT_BYTES


def test_dump():
    text = dump(Compilation(toy_model(formats={"1.down": S8}), get("small"), 32), "quantize")
    lines = text.splitlines()
    at = next(n for n, line in enumerate(lines) if line.startswith("layer ")) + 1
    first, second = lines[at : at + 2]
    assert (first.split()[0], second.split()[0]) == ("0", "1")
    assert first.split()[-3:] == ["U4", "<<", "3"] and second.split()[-1] == "S8"
    assert lines[-1].split() == ["head", "S8"]


def test_format_of_one_layer_that_the_core_lacks():
    model = toy_model(layers=3, formats={"2.down": WeightFormat.U2})
    with pytest.raises(UserError, match="^toy: down has U2 weights, but configuration 'small'"):
        compile_model(model, get("small"), 32)
