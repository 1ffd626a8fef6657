"""Heads that are rounded again."""

from dataclasses import replace

import numpy as np
import pytest

from host.errors import UserError
from mapper.compile import Compilation, compile_model
from mapper.head import HEADS
from mapper.rounding import round_to
from rtl.spec.config import get
from rtl.spec.isa import WeightFormat
from sim.functional import ModelDevice
from sim.models.toy import toy_model
from sw_ref.float32 import Float32


CONFIG = replace(get("small"), formats=("U4", "S8", "U5", "S6", "FP4", "FP4_16", "IQ4"))
IDS = [5, 17, 80, 3, 42, 9, 66, 1]


def logits(image):
    device = ModelDevice(CONFIG)
    device.load(image)
    for n, token in enumerate(IDS):
        device.step([token], n, True)
    return device.logits[0].copy()


@pytest.mark.seconds(3)
@pytest.mark.parametrize("tied", [True, False])
@pytest.mark.parametrize("name", HEADS)
def test_rounded(name, tied):
    """The head has the format; a tied embedding, too, and another keeps its own."""
    model = toy_model(tied=tied)
    fmt = WeightFormat[name]
    compilation = Compilation(model, CONFIG, 32, head=name)
    assert compilation.head.format == fmt
    assert compilation.embedding.format == (fmt if tied else WeightFormat.S8)
    image = compilation.image()
    its = image.report["head"]
    bytes_of = {op["operation"]: op["bytes"] for op in image.report["operations"]}
    before = {
        op["operation"]: op["bytes"] for op in compile_model(model, CONFIG, 32).report["operations"]
    }
    assert its["bytes"] == bytes_of["head"] and its["bytes_before"] == before["head"]
    assert (its["tensor"], its["source"], its["instead_of"]) == (model.head.name, "toy", "S8")
    assert its["format"] == name
    assert its["error"] == pytest.approx(compilation.head.rounding)
    # What the machine computes is what the rounded head says.
    head = round_to(model.head, fmt)
    again = (
        replace(model, load_embedding=lambda: head)
        if tied
        else replace(model, load_head=lambda: head)
    )
    expected, found = next(iter(Float32(again)([IDS])))[-1], logits(image)
    assert np.sqrt(np.square(found - expected).mean() / expected.var()) < 0.2


def test_error_is_of_the_files_weights():
    """And not of those that the configuration would have had."""
    model = toy_model(tied=False)
    book = round_to(model.head, WeightFormat.FP4)
    model = replace(model, load_head=lambda: replace(book.whole, rounding=None))
    config = replace(get("small"), formats=("U4", "S8", "S6"))  # without FP4: it becomes S8
    compilation = Compilation(model, config, 32, head="S6")
    assert compilation.kept_head.format == WeightFormat.S8
    expected = round_to(book, WeightFormat.S6)
    np.testing.assert_array_equal(compilation.head.codes, expected.codes)
    assert compilation.image().report["head"]["error"] == pytest.approx(expected.rounding)


def test_without_it_nothing_changes():
    image = compile_model(toy_model(), CONFIG, 32)
    assert "head" not in image.report


@pytest.mark.parametrize(
    "name, message",
    [
        ("S6", "one that configuration 'small' has, U4, S8, not S6"),
        ("s8", "one of U4, S8, U5, S6, FP4, FP4_16, IQ4, not 's8'"),
        ("TERNARY", "one of U4, S8, U5, S6, FP4, FP4_16, IQ4, not 'TERNARY'"),
    ],
)
def test_refused(name, message):
    with pytest.raises(UserError) as info:
        Compilation(toy_model(), get("small"), 32, head=name)
    assert str(info.value) == f"the head's format must be {message}"
