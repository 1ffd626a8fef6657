"""Matrices that are packed in spans of rows: the same bytes as at once, and little memory."""

import tracemalloc
from collections import Counter
from dataclasses import replace
from time import sleep

import numpy as np
import pytest

from headrace.studies.large_file import CONFIG, shape_of
from headrace.studies.random_weights import write
from host.errors import UserError
from mapper import linear as linear_module
from mapper.compile import compile_model
from mapper.linear import LazyLinear, mapped, spans
from mapper.pack_matrix import THREADS, in_order, pack_matrix, threads
from mapper.plan import Matrix, centre_shift, stack
from mapper.quantize import integer_groups
from mapper.read.find import load
from mapper.report import block_modes
from mapper.rounding import round_to
from rtl.spec.config import get
from rtl.spec.descriptor import described
from rtl.spec.formats import FORMATS
from rtl.spec.isa import WeightFormat
from sim.models.toy import toy_model


DEPTH = 128
MATRIX = Matrix("qk", "qk", (("k", 0, 96), ("q", 24, 100), ("q", 0, 20)), DEPTH // 32)
FACTORS = {"q": np.float32(0.25)}


@pytest.fixture(autouse=True)
def small_spans(monkeypatch):
    """Spans of few rows: a matrix of a test has several."""
    monkeypatch.setattr(linear_module, "SPAN", 20 * DEPTH)


def tensors(fmt):
    layer = toy_model(format=fmt, hidden=DEPTH, heads=2, ffn=128).layers[0]
    return {"q": layer.linears["o"], "k": layer.linears["gate"]}


def factor(name):
    return FACTORS.get(name, np.float32(1))


def packed(config, linears):
    written = []
    with threads() as pool:
        shift = centre_shift(stack(MATRIX, linears))
        found = pack_matrix(pool, config, MATRIX, linears, shift, factor, written.append)
    return b"".join(written), found


@pytest.mark.seconds(1)
@pytest.mark.parametrize("beat_bits", [128, 256, 512])
@pytest.mark.parametrize("fmt", FORMATS, ids=lambda fmt: fmt.name)
def test_the_same_as_at_once(fmt, beat_bits):
    config, linears = replace(get("small"), beat_bits=beat_bits), tensors(fmt)
    raw, found = packed(config, linears)
    whole = stack(MATRIX, linears).whole
    q, factors = integer_groups(whole, centre_shift(whole)), [1] * 96 + [0.25] * 96
    expected = described(
        fmt,
        q.codes,
        q.scale,
        q.centre,
        q.row_scale * np.float32(factors),
        q.centre_shift,
        config.beat_bytes,
        config.patterns,
    )
    assert raw == expected and found.size == len(raw)
    np.testing.assert_array_equal(found.squared, q.squared)
    np.testing.assert_array_equal(found.power, q.power)
    its = FORMATS[fmt]
    assert found.nonzero == (0 if its.scaled else (q.codes != 0).sum())
    blocks = block_modes(its, whole, raw[64:], config.beat_bytes) if its.sparse else Counter()
    assert found.modes == blocks


def test_spans_are_as_many_rows_as_can_be_packed_apart():
    linear = stack(MATRIX, tensors(WeightFormat.U4))
    for multiple in 1, 4, 16, 32:
        found = [range(192)[rows] for rows in spans(linear, multiple)]
        assert [n for its in found for n in its] == [*range(192)] and len(found) > 4
        assert all(len(its) % multiple == 0 for its in found[:-1])


@pytest.mark.parametrize("rows", [slice(0, 1), slice(90, 100), slice(None, None, 7), slice(150, 9)])
def test_some_rows(rows):
    found = stack(MATRIX, tensors(WeightFormat.U4))
    expected = range(192)[rows]
    if expected:
        np.testing.assert_array_equal(found.take(rows).codes, found.whole.codes[list(expected)])
        np.testing.assert_array_equal(found.take(rows).d, found.whole.d[list(expected)])
    assert [n for _, its in MATRIX.tensor_rows(rows) for n in range(192)[its]] == [
        n if n < 96 else n - 72 if n < 172 else n - 172 for n in expected
    ]


def test_rounding_is_that_of_all_rows():
    """Of tensors that are rounded by rows, the report says what it would of them at once."""
    linears = tensors(WeightFormat.U4)
    linears["q"] = round_to(linears["q"], WeightFormat.S8)
    linears["k"] = round_to(linears["k"], WeightFormat.S8)
    whole = linears["q"].whole
    assert 0 < whole.rounding == pytest.approx(linears["q"].rounding)
    part = Matrix("q", "q", (("q", 0, 128),), DEPTH // 32)
    with threads() as pool:
        found = pack_matrix(pool, get("small"), part, linears, 0, factor, len)
    assert found.rounding("q") == pytest.approx(whole.rounding) and found.rounding("k") is None


def test_a_lazy_matrix_is_the_one_it_is_made_of():
    whole = tensors(WeightFormat.U4)["q"]
    lazy = mapped(whole, lambda its: its, whole.format)
    assert isinstance(lazy, LazyLinear) and lazy.rounded and not lazy.by_row
    for rows in slice(3, 40), slice(0, 128, 5):
        np.testing.assert_array_equal(lazy.take(rows).float32(), whole.float32()[rows])
    part = lazy.part(slice(10, 50))
    assert (part.rows, part.name) == (40, f"{whole.name}[10:50]")
    np.testing.assert_array_equal(part.float32(), whole.float32()[10:50])
    np.testing.assert_array_equal(part.take(slice(5, 9)).codes, whole.codes[15:19])


def test_order():
    """The first may be the last to be ready; no more than a few are made ahead."""
    begun = []

    def function(n):
        begun.append(n)
        sleep(0.02 * (n % 3 == 0))
        return n

    with threads() as pool:
        for n, found in enumerate(in_order(pool, function, range(20))):
            assert found == n and len(begun) <= n + THREADS + 2
    assert sorted(begun) == [*range(20)]


def test_errors_come_from_threads():
    def load(rows):
        raise UserError(f"rows from {rows.start}")

    bad = LazyLinear(name="q", source="", format=WeightFormat.S8, rows=64, depth=DEPTH, load=load)
    part = Matrix("q", "q", (("q", 0, 64),), DEPTH // 32)
    with threads() as pool, pytest.raises(UserError, match="^rows from 0$"):
        pack_matrix(pool, get("small"), part, {"q": bad}, 0, factor, len)


@pytest.mark.seconds(3)
def test_memory(tmp_path, monkeypatch):
    """Compiling takes less memory than a matrix, and much less than the image."""
    monkeypatch.setattr(linear_module, "SPAN", 1 << 18)
    write(path := tmp_path / "m.gguf", shape_of(1, 4))
    model = load(path)
    tracemalloc.start()
    try:
        image = compile_model(model, CONFIG, 64)
        most = tracemalloc.get_traced_memory()[1]
        tracemalloc.reset_peak()
        assert np.array(image.memory).nbytes > 32 << 20
        assert tracemalloc.get_traced_memory()[1] > 32 << 20  # what a copy would show as
    finally:
        tracemalloc.stop()
    assert most < model.vocab * model.hidden and most < len(image.memory) / 2, most
