"""What an image says of itself, and which models are refused."""

import re
from dataclasses import replace

import pytest

from host.errors import UserError
from mapper.compile import compile_model
from rtl.spec.config import UNIT_BYTES, get
from rtl.spec.descriptor import Descriptor
from rtl.spec.formats import ROW_SCALED, SPARSE, unpack
from rtl.spec.isa import MatMul, Stream, WeightFormat, decode
from sim.models.toy import toy_model
from sw_ref.linear import places


ALL = pytest.mark.parametrize("fmt", get("small-lut").weight_formats, ids=lambda f: f.name)


@pytest.mark.seconds(1)
@ALL
@pytest.mark.parametrize("tied", [True, False])
def test_report(fmt, tied):
    """The stream, read from the image alone, is as long and as dense as the report says."""
    config, model = get("small-lut"), toy_model(layers=3, format=fmt, tied=tied)
    image = compile_model(model, config, context=32)
    report, program = image.report, [decode(word) for word in image.instructions]
    streams, products = ([i for i in program if isinstance(i, kind)] for kind in (Stream, MatMul))
    assert image.weight_bytes == report["weight_bytes"] == sum(s.size for s in streams) * UNIT_BYTES
    assert report["weight_bytes"] == sum(op["bytes"] for op in report["operations"])
    layers = max(streams, key=lambda s: s.size)
    assert layers.size == sum(report["layer_units"]) and len(report["layer_units"]) == 3

    counts, at = {}, layers.addr * UNIT_BYTES
    operations = [op for op in report["operations"] if op["times"] == 3]
    assert [op["operation"] for op in operations][:3] == ["kv", "q", "o"]
    for _ in range(3):
        for op, product in zip(operations, products):
            assert (op["format"], op["rows"], op["depth"]) == (
                fmt.name,
                product.rows,
                product.groups * 32,
            )
            its = Descriptor.unpack(image.memory[at : at + UNIT_BYTES])
            assert (its.format, its.rows, its.groups) == (fmt, product.rows, product.groups)
            at += UNIT_BYTES
            codes, scale, centre, row_scale = unpack(
                fmt, image.memory[at:], product.rows, product.groups, 16
            )
            counts[op["operation"]] = counts.get(op["operation"], 0) + int((codes != 0).sum())
            size = places(image.memory[at:], fmt, product.rows, product.groups, 16)[-1]
            at += -(-size // UNIT_BYTES) * UNIT_BYTES
    assert at == (layers.addr + layers.size) * UNIT_BYTES
    for op in operations:
        weights = 3 * op["rows"] * op["depth"]
        assert op["bits_per_weight"] == 8 * op["bytes"] / weights
        assert ("density" in op) == (fmt in ROW_SCALED)
        if fmt in ROW_SCALED:
            assert op["density"] == counts[op["operation"]] / weights
        assert ("blocks" in op) == (fmt in SPARSE)
        if fmt in SPARSE:
            assert sum(op["blocks"].values()) == 3 * -(-op["rows"] // 16) * op["depth"] // 16
        assert op["cycles"] >= op["bytes"] // 16
    assert report["estimated_cycles_per_token"] > sum(op["cycles"] for op in report["operations"])


BITS = {"U1": 1, "U2": 2, "U3": 3, "U4": 4, "S8": 8, "TERNARY": 1.6}


@pytest.mark.seconds(1)
@pytest.mark.parametrize("name", BITS)
def test_bits_per_weight(name):
    """What the formats promise, with scales and what is left of runs on top."""
    model = toy_model(format=WeightFormat[name], hidden=640, ffn=640, heads=10)
    report = compile_model(model, get("wide-lut"), context=32).report
    scales = 1 / 32 + (0 if name == "TERNARY" else 8 / 32 if name == "S8" else 16 / 32)
    assert 0 <= report["layers_bits_per_weight"] - BITS[name] - scales < 0.16


@pytest.mark.seconds(1)
def test_cycles_of_cores():
    """A core that takes a format apart needs more cycles than beats; rows of a beat take one each,
    or four.
    """

    def cycles(name, core, operation="o"):
        model = toy_model(format=WeightFormat[name], hidden=256, heads=4)
        config = replace(get("small"), core=core, formats=())
        return next(
            op
            for op in compile_model(model, config, context=32).report["operations"]
            if op["operation"] == operation
        )

    for core in "lut", "systolic":  # fifth steps pass beside the others: a beat a cycle
        found = cycles("TERNARY", core)
        assert found["cycles"] == found["bytes"] // 16
    # Eight groups are seven beats; each expands to two steps, in both layers.
    assert cycles("TERNARY", "dspchain")["cycles"] == 256 // 2 * 7 * 2 * 2
    assert cycles("U3", "lut")["cycles"] == 256 * 8 * 2
    blocks = cycles("SPARSE4", "systolic")["blocks"]
    stored = sum(count for name, count in blocks.items() if name != "0:16")
    assert cycles("SPARSE4", "systolic")["cycles"] == 16 * stored
    # A chain takes four rows at once, where a beat has as many; of dense blocks it has two.
    chained = {"2:16": 4, "4:16": 4, "8:16": 4, "2:4": 4, "16:16": 8}
    found = cycles("SPARSE4", "dspchain")
    assert found["cycles"] == max(
        found["bytes"] // 16, sum(n * blocks[name] for name, n in chained.items())
    )


@pytest.mark.parametrize(
    "name, config, able",
    [
        ("U2", "small", "small-lut, wide-lut"),
        ("U1", "wide-dspchain", "small-lut, wide-lut"),
    ],
)
def test_format_that_the_core_lacks(name, config, able):
    with pytest.raises(
        UserError,
        match="^"
        + re.escape(
            f"toy: kv has {name} weights, but configuration {config!r}, with core "
            f"{get(config).core!r}, takes "
            f"U4, S8, TERNARY, SPARSE4, SPARSE8; configurations that take {name}: {able}"
        )
        + "$",
    ):
        compile_model(toy_model(format=WeightFormat[name]), get(config), context=32)


def test_patterns_that_the_core_lacks():
    """Blocks take the next best that there is: the same model, in more beats."""
    model, sizes = toy_model(format=WeightFormat.SPARSE4), []
    for patterns in (("2:16", "4:16", "8:16", "2:4"), ("8:16",), ()):
        config = replace(get("small"), patterns=patterns)
        image = compile_model(model, config, context=32)
        assert image.patterns == list(patterns)
        sizes.append(image.weight_bytes)
    assert sizes == sorted(sizes) and sizes[0] < sizes[-1]
