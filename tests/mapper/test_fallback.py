"""Codes of a file in ``S8``, where the configuration has not their format."""

from dataclasses import replace

import numpy as np
import pytest

from host.errors import UserError
from mapper.compile import compile_model
from mapper.fallback import held
from mapper.model import Layer, Layers
from mapper.plan import formats_of
from rtl.spec.config import get
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model


def of_file(fmt, minimum=None, only=None):
    """A toy model whose codes are a file's, not rounded here: its second layer alone, with `only`.

    `minimum` is that of all groups, in steps, which are half floats.
    """
    model = toy_model(format=fmt)

    def codes(linear):
        d = linear.d.astype(np.float16).astype(np.float32)
        m = linear.m if minimum is None else d * np.float32(minimum)
        return replace(linear, rounding=None, d=d, m=m)

    made = [
        Layer(linears={n: codes(its) for n, its in layer.linears.items()}, vectors=layer.vectors)
        for layer in model.layers
    ]
    if only:
        made[0] = toy_model(format=WeightFormat.S8).layers[0]
    return replace(model, layers=Layers(2, made.__getitem__))


@pytest.mark.parametrize("fmt, minimum", [("U1", -0.5), ("U2", -1.5), ("U3", -4), ("U4", -8)])
@pytest.mark.parametrize("only", [False, True])
def test_exact(fmt, minimum, only):
    model = of_file(WeightFormat[fmt], minimum, only)
    found = held(model, replace(get("small"), formats=("S8", "TERNARY")))
    for n, layer in enumerate(found.layers):
        for name, its in layer.linears.items():
            assert its.format == formats_of(found.layers, n)[name] == WeightFormat.S8
            assert its.rounding is None or only and n == 0
            weights = model.layers[n].linears[name].float32()
            np.testing.assert_array_equal(its.float32(), weights)


def test_compiles_and_says_what_it_rounded():
    image = compile_model(of_file(WeightFormat.U2), get("small"), 32)
    assert {op["format"] for op in image.report["operations"]} == {"S8"}
    said = {t["name"]: t for t in image.report["tensors"] if "rounding" in t}
    assert 0 < said["blk.0.down"]["rounding"] < 0.01
    assert said["blk.0.down"]["reason"] == "configuration 'small' has no U2"


def test_formats_that_are_there_are_kept():
    for config in "small-lut", "wide-lut":
        model = of_file(WeightFormat.U3)
        assert held(model, get(config)) is model


def test_what_was_asked_for_is_refused():
    """Whoever rounds floats to 2 bits wants the traffic of 2 bits."""
    model = toy_model(format=WeightFormat.U2)
    assert held(model, get("small")) is model
    with pytest.raises(UserError, match="configurations that take U2: small-lut, wide-lut$"):
        compile_model(model, get("small"), 32)
