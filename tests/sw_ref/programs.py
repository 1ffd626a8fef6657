"""A small legal program of every instruction, for tests that break it."""

import numpy as np

from rtl.spec.config import Config
from rtl.spec.descriptor import Descriptor, described
from rtl.spec.formats import WeightFormat, pack
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Embed,
    Func,
    Halt,
    Load,
    Loop,
    MatMul,
    Quant,
    Scalar,
    Source,
    Stream,
    Sync,
    Token,
    Unit,
    Vector,
)
from rtl.spec.numbers import UNIT_WORDS
from sw_ref.machine import Machine


__all__ = [
    "CONFIG",
    "DATA",
    "WEIGHTS",
    "DESCRIPTORS",
    "CACHE",
    "UNITS",
    "LEGAL",
    "machine",
    "run",
]


# Without the formats that tests need to be missing.
CONFIG = Config(
    name="legal",
    beat_bits=128,
    columns=2,
    lanes=4,
    queries=2,
    vector_words=2048,
    act_groups=16,
    program_words=64,
    formats=("U4", "S8", "SPARSE8"),
)
DATA, WEIGHTS, CACHE, UNITS = 64, 128, 512, 1024
ROWS, GROUPS = 8, 2

_rng = np.random.default_rng(12)
_codes = _rng.integers(-127, 128, (ROWS, 32 * GROUPS)).astype(np.int8)
_packed = described(
    WeightFormat.S8,
    _codes,
    np.ones((ROWS, GROUPS), np.uint8),
    np.zeros((ROWS, GROUPS), np.int8),
    np.ones(ROWS, np.float32),
    0,
    CONFIG.beat_bytes,
)
MATRIX = len(_packed) // 64
# The rows that EMBED takes are packed as a matrix of as many is.
_rows = UNIT_WORDS
_table = pack(
    WeightFormat.S8,
    _rng.integers(-127, 128, (_rows, 32 * GROUPS)).astype(np.int8),
    np.ones((_rows, GROUPS), np.uint8),
    np.zeros((_rows, GROUPS), np.int8),
    np.ones(_rows, np.float32),
    CONFIG.beat_bytes,
)
BLOCK = len(_table) // 64
TABLE = WEIGHTS + MATRIX

# Where matrices may be streamed from whose descriptors are wrong, and those.
WRONG = {
    "nothing": bytes(64),
    "magic": b"MH" + _packed[2:64],
    "rows": Descriptor(WeightFormat.S8, 0, ROWS + 1, GROUPS).pack(),
    "groups": Descriptor(WeightFormat.S8, 0, ROWS, GROUPS - 1).pack(),
    "reserved": _packed[:63] + b"\x80",
    "U1": Descriptor(WeightFormat.U1, 0, ROWS, GROUPS).pack(),
    "TERNARY": Descriptor(WeightFormat.TERNARY, 0, ROWS, GROUPS).pack(),
    "none": _packed[:2] + b"\x1f" + _packed[3:64],  # a format that does not exist
}
DESCRIPTORS = {name: 256 + 16 * n for n, name in enumerate(WRONG)}


def legal():
    """The program, by names for the instructions that tests change."""
    return {
        "token": Token(rd=1, source=0),
        "scalar": Scalar(rd=2, source=Source.POSITION.value, factor=1),
        "load": Load(addr=DATA, size=16, dst=0),
        "loaded": Sync(unit=Unit.LOAD, give=1),
        "take": Sync(unit=Unit.VECTOR, take=1),
        "fetch": Stream(addr=TABLE, size=BLOCK),
        "embed": Embed(row=0, row_reg=1, groups=GROUPS, dst=256),
        "embedded": Sync(unit=Unit.LINEAR, give=2),
        "found": Sync(unit=Unit.VECTOR, take=2),
        "loop": Loop(length=2, count=3),
        "add": Vector(
            outer=2, inner=64, d=0, a=0, b=128, c=256, d_stride=64, a_stride=64, c_stride=0
        ),
        "half": Vector(outer=1, inner=64, d=512, a=128, b_const=1, b_value=0x3F000000, c_const=1),
        "dot": Vector(
            func=Func.DOT, outer=2, inner=64, d=640, a=0, b=0, d_stride=4, a_stride=64, b_stride=64
        ),
        "columns": Scalar(rd=3, source=Source.COLUMNS.value, factor=1, offset=0xFFFFFFFF),
        "acts": Quant(dest=Dest.ACT, outer=1, inner=64, a=0),
        "others": Loop(length=1, source=3),
        "more": Quant(dest=Dest.ACT, outer=1, inner=64, a=64, column=1),
        "ready": Sync(unit=Unit.VECTOR, give=3),
        "stream": Stream(addr=WEIGHTS, size=MATRIX),
        "wait": Sync(unit=Unit.LINEAR, take=3),
        "matmul": MatMul(rows=ROWS, groups=GROUPS, dst=768, stride=16, column_reg=3),
        "done": Sync(unit=Unit.LINEAR, give=4),
        "result": Sync(unit=Unit.VECTOR, take=4),
        "use": Vector(outer=1, inner=8, d=768, a=768, b=768, c=768),
        "keys": Quant(dest=Dest.KV, outer=1, inner=64, a=0),
        "append": Append(heads=1, addr=CACHE, position_reg=2),
        "values": Quant(dest=Dest.KV, outer=1, inner=64, a=64),
        "append_values": Append(value=1, heads=1, addr=CACHE, position_reg=2),
        "queries": Quant(dest=Dest.QUERY, outer=1, inner=128, a=0),
        "attend": Attend(
            heads=1, queries=2, addr=CACHE, length=1, length_reg=2, dst=1024, sums=1280
        ),
        "attended": Sync(unit=Unit.ATTENTION, give=5),
        "answer": Sync(unit=Unit.VECTOR, take=5),
        "last": Vector(outer=1, inner=128, d=1024, a=1024, b=1024, c=1024),
        "halt": Halt(),
    }


LEGAL = legal()


def memory():
    """DRAM: numbers, weights, and room for keys and values."""
    out = np.zeros(64 * UNITS, np.uint8)
    out[64 * DATA : 64 * DATA + 1024] = (
        np.random.default_rng(3).normal(size=256).astype("<f4").view(np.uint8)
    )
    wrong = ((DESCRIPTORS[name], raw) for name, raw in WRONG.items())
    for unit, raw in ((WEIGHTS, _packed), (TABLE, _table), *wrong):
        out[64 * unit : 64 * unit + len(raw)] = np.frombuffer(raw, np.uint8)
    return out


def machine(**options):
    """A functional machine for the program."""
    return Machine(CONFIG, memory(), writable=(CACHE, UNITS), **options)


def words(insns):
    """Words of instructions, or of words."""
    return tuple(insn if isinstance(insn, int) else insn.encode() for insn in insns)


def run(insns, position=3, columns=2, **options):
    """Run instructions; returns the machine."""
    made = machine(**options)
    made.run(words(insns), tokens=list(range(columns)), position=position)
    return made
