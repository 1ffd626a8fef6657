"""The functional machine: matrices one after the other in the weight stream, loads, embeddings."""

import numpy as np
import pytest
import torch

from rtl.spec.config import GROUP, UNIT_BYTES, get
from rtl.spec.descriptor import described
from rtl.spec.formats import FORMATS as BY_FORMAT, SPARSE, WeightFormat, integers, pack
from rtl.spec.isa import Dest, Embed, Halt, Load, MatMul, Quant, Stream, Sync, Unit
from rtl.spec.numbers import UNIT_WORDS
from sim.harness.patterns import EDGES
from sim.models.toy import prune
from sw_ref import numerics
from sw_ref.machine import IllegalProgram, Machine
from sw_ref.pytorch import ops as torch_ops


CONFIG, GROUPS, COLUMNS = get("wide-lut"), 3, 2  # whose formats are all there are
VALUES = COLUMNS * GROUPS * GROUP  # activations, in vector memory behind the results
START = VALUES * 4 // UNIT_BYTES  # they come first in DRAM
FORMATS = [(fmt, rows) for fmt in CONFIG.weight_formats for rows in (3, 70)]


def matrices():
    """Matrices of all formats, and how they are packed."""
    rng = np.random.default_rng(8)
    for fmt, rows in FORMATS:
        its = BY_FORMAT[fmt]
        codes = rng.integers(max(its.low, -1), 2, (rows, GROUPS * GROUP)).astype(its.dtype)
        if fmt in SPARSE:
            codes = prune(rng, codes)
        scale = rng.integers(1, 256, (rows, GROUPS)).astype(np.uint8)
        centre = np.zeros((rows, GROUPS), np.int8)
        row_scale = rng.normal(size=rows).astype(np.float32)
        yield (
            integers(fmt, codes, scale, centre, 0),
            row_scale,
            described(fmt, codes, scale, centre, row_scale, 0, CONFIG.beat_bytes),
        )


def run(streams):
    """All products, with weights in `streams`, (first unit, units). Returns the machine."""
    packed = b"".join(raw for *_, raw in matrices())
    values = np.random.default_rng(9).normal(size=VALUES).astype("<f4")
    memory = np.frombuffer(values.tobytes() + packed + bytes(4096), np.uint8).copy()
    machine = Machine(CONFIG, memory)
    program, dst = (
        [
            Load(addr=0, size=START, dst=4096),
            Sync(unit=Unit.LOAD, give=1),
            Sync(unit=Unit.VECTOR, take=1),
        ],
        0,
    )
    program += [
        Quant(dest=Dest.ACT, outer=1, inner=GROUPS * GROUP, a=4096 + n * GROUPS * GROUP, column=n)
        for n in range(COLUMNS)
    ]
    program += [Sync(unit=Unit.VECTOR, give=2), Sync(unit=Unit.LINEAR, take=2)]
    for n, (_, rows) in enumerate(FORMATS):
        program += [Stream(addr=addr, size=size) for addr, size in streams[n : n + 1]]
        program.append(MatMul(rows=rows, groups=GROUPS, dst=dst, stride=1024, column=1))
        dst += rows
    machine.run([insn.encode() for insn in (*program, Halt())], tokens=[1, 2], position=0)
    return machine


def test_one_stream():
    """One instruction streams matrices of all formats, or each has one."""
    sizes = [len(raw) // UNIT_BYTES for *_, raw in matrices()]
    starts = START + np.cumsum([0, *sizes])
    for streams in [(START, sum(sizes))], list(zip(starts.tolist(), sizes)):
        machine, at = run(streams), 0
        assert not machine.beats
        q, exponents = (
            machine.act[:COLUMNS, :GROUPS].reshape(COLUMNS, -1),
            machine.exponents[:2, :GROUPS],
        )
        for weights, row_scale, _ in matrices():
            expected = numerics.linear(weights, row_scale, q, exponents)
            for column in range(2):
                np.testing.assert_array_equal(
                    machine.vector[column * 1024 + at :][: len(weights)], expected[column]
                )
            at += len(weights)


@pytest.mark.parametrize("cut", range(len(FORMATS)))
def test_stream_too_short(cut):
    """A stream ends within a matrix, or where one should begin."""
    sizes = [len(raw) // UNIT_BYTES for *_, raw in matrices()]
    for end in sum(sizes[:cut]), sum(sizes[: cut + 1]) - 1:
        fmt, rows = FORMATS[cut]
        with pytest.raises(
            IllegalProgram,
            match=rf"^Instruction \d+ \((matmul .*rows={rows}|stream addr={START}).*\) breaks",
        ) as caught:
            run([(START, end)])
        assert caught.value.rule == ("stream" if end else "size")


def all_patterns(count):
    """Edge values, then patterns of all kinds."""
    wild = np.random.default_rng(10).integers(0, 1 << 32, count - len(EDGES), np.uint32)
    return np.concatenate([np.array(EDGES, np.uint32), wild]).view(np.float32)


def test_load_writes_finite_numbers():
    words = all_patterns(20 * 16)
    machine = Machine(CONFIG, np.concatenate([np.zeros(64, np.uint8), words.view(np.uint8)]))
    program = Load(addr=1, size=20, dst=32), Halt()
    machine.run([insn.encode() for insn in program], tokens=[1], position=0)
    got = machine.vector[32 : 32 + len(words)]
    assert np.isfinite(got).all()
    kept = np.isfinite(words)
    np.testing.assert_array_equal(got[kept].view(np.uint32), words[kept].view(np.uint32))
    np.testing.assert_array_equal(got[~kept], np.copysign(numerics.MAX, words[~kept]))


def test_embed_takes_every_row_scale():
    """Subnormal ones are zeros, and those with an exponent field of 255 numbers, as in hardware."""
    rng, blocks = np.random.default_rng(11), 16
    rows = blocks * UNIT_WORDS
    codes = rng.integers(-128, 128, (rows, GROUP)).astype(np.int8)
    scale, row_scale = rng.integers(0, 256, (rows, 1)).astype(np.uint8), all_patterns(rows)
    packed = pack(
        WeightFormat.S8, codes, scale, np.zeros((rows, 1), np.int8), row_scale, CONFIG.beat_bytes
    )
    machine = Machine(CONFIG, np.frombuffer(packed + bytes(64), np.uint8).copy())
    units = len(packed) // UNIT_BYTES // blocks
    for row in range(rows):
        program = (
            Stream(addr=row // UNIT_WORDS * units, size=units),
            Embed(row=row, groups=1, dst=0),
            Halt(),
        )
        machine.run([insn.encode() for insn in program], tokens=[1], position=0)
        whole = torch.tensor(codes[row].astype(np.float32) * scale[row])
        expected = torch_ops.multiply(whole, torch.tensor(row_scale[row])).numpy()
        got = machine.vector[:GROUP]
        np.testing.assert_array_equal(got.view(np.uint32), expected.view(np.uint32))
        assert np.isfinite(expected).all()
