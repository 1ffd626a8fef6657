"""Matrices in S8: embeddings and heads of any format."""

from dataclasses import replace

import numpy as np
import pytest

from mapper.as_s8 import as_s8
from mapper.compile import Compilation
from mapper.model import Linear
from rtl.spec.config import get
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model


def linear(fmt, by_row, rng, m=None):
    its = FORMATS[fmt]
    codes = rng.choice(its.every_code, (8, 96))
    if its.high == 127:
        codes[codes == -128] = 0
    d = rng.normal(0, 1, (8, 1 if by_row else 3)).astype(np.float16).astype(np.float32)
    d[3] = 0
    return Linear(name="w", source="test", format=fmt, codes=codes, d=d, m=m and m(d))


@pytest.mark.parametrize("fmt", WeightFormat, ids=lambda fmt: fmt.name)
def test_rows_scales_are_exact(fmt):
    its = linear(fmt, True, np.random.default_rng(fmt.value))
    found = as_s8(its, "why")
    assert found.format == WeightFormat.S8 and found.rounding is None and not found.by_row
    np.testing.assert_array_equal(found.float32(), its.float32())


@pytest.mark.parametrize("fmt, times", [("U4", -8), ("U4", 0), ("U4", -7.5), ("U1", -0.5)])
def test_minima_that_are_multiples_are_exact(fmt, times):
    its = linear(
        WeightFormat[fmt], False, np.random.default_rng(2), lambda d: d * np.float32(times)
    )
    found = as_s8(its, "why")
    assert found.format == WeightFormat.S8 and found.rounding is None and found.m is None
    np.testing.assert_array_equal(found.float32(), its.float32())


@pytest.mark.parametrize("times", [-7.3, -200, 1e6])
def test_other_minima_are_rounded(times):
    its = linear(WeightFormat.U4, False, np.random.default_rng(3), lambda d: d * np.float32(times))
    found, weights = as_s8(its, "why"), its.float32()
    off = np.sqrt(np.square(found.float32() - weights).sum() / np.square(weights).sum())
    assert 0 < found.rounding < 0.005 and found.rounding == pytest.approx(off, rel=1e-3)


def test_a_scale_far_below_its_minimum():
    its = linear(WeightFormat.U4, False, np.random.default_rng(4), lambda d: d + 1)
    its = replace(its, d=its.d * np.float32(1e-42), m=its.m * np.float32(1e30))
    with np.errstate(all="raise", under="ignore"):
        found = as_s8(its, "why")
    np.testing.assert_allclose(found.float32(), its.float32(), rtol=0.01)


def test_a_minimum_without_a_scale():
    its = linear(WeightFormat.U4, False, np.random.default_rng(4), lambda d: d + 1)
    off, weights = np.abs(as_s8(its, "why").float32() - its.float32()), its.float32()
    assert (off <= np.abs(weights).max(1, keepdims=True) / 250).all()


@pytest.mark.parametrize("tied", [True, False])
def test_vocabulary(tied):
    """An embedding of a format that has no rows of its own becomes S8; the head keeps its own."""
    model, rng = toy_model(tied=tied, format=WeightFormat.TERNARY), np.random.default_rng(1)
    shape = model.embedding.codes.shape
    odd = Linear(
        name="token_embd",
        source="Q4_1",
        format=WeightFormat.U2,
        codes=rng.integers(0, 4, shape, np.uint8),
        d=rng.uniform(0.01, 0.02, (shape[0], shape[1] // 32)).astype(np.float32),
        m=rng.uniform(-0.2, -0.1, (shape[0], shape[1] // 32)).astype(np.float32),
    )
    model = replace(model, load_embedding=lambda: odd)
    compilation = Compilation(model, get("small-lut"), 32)
    assert compilation.embedding.format == WeightFormat.S8
    assert (compilation.head is compilation.embedding) == tied
    report = compilation.image().report
    said = [t["name"] for t in report["tensors"] if "rounding" in t]
    assert said == (["token_embd"] if tied else ["head", "token_embd"])
