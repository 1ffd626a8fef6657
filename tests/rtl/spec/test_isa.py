from dataclasses import fields
from random import Random

import pytest
from amaranth.lib import enum

from rtl.spec import isa
from rtl.spec.descriptor import Descriptor
from rtl.spec.isa import (
    WORD_BITS,
    Attend,
    Dest,
    Func,
    Halt,
    Insn,
    Load,
    MatMul,
    Op,
    Quant,
    Source,
    Sync,
    Unit,
    Vector,
    WeightFormat,
    decode,
)
from rtl.spec.isa.encoding import bits


ALL = pytest.mark.parametrize("cls", Insn.by_op.values(), ids=lambda cls: cls.__name__)
CONTROL = {Op.HALT, Op.LOOP, Op.SCALAR, Op.TOKEN, Op.SYNC}


def random_value(f, rng):
    shape = f.metadata["shape"]
    return rng.choice(
        list(shape)
        if isinstance(shape, enum.EnumMeta)
        else [0, (1 << shape) - 1, rng.randrange(1 << shape)]
    )


def least_value(f):
    shape = f.metadata["shape"]
    return min(shape, key=lambda v: v.value) if isinstance(shape, enum.EnumMeta) else 0


@ALL
def test_round_trip(cls):
    rng = Random(3)
    for _ in range(100):
        insn = cls(**{f.name: random_value(f, rng) for f in fields(cls)})
        word = insn.encode()
        assert 0 <= word < 1 << WORD_BITS
        assert word & 0xFF == cls.op.value
        assert decode(word) == insn
        assert all(
            type(getattr(decode(word), f.name)) is type(getattr(insn, f.name)) for f in fields(cls)
        )


@ALL
def test_layout_is_what_hardware_sees(cls):
    """Each field alone changes its own bits, from the least significant up, without gaps."""
    zero = cls(**{f.name: least_value(f) for f in fields(cls)})
    used = 8
    for f in fields(cls):
        at = cls.layout[f.name]
        assert (at.offset, at.width) == (used, f.metadata["width"])
        used += at.width
        value = random_value(f, Random(5))
        base = getattr(zero, f.name)
        assert (
            cls(**{**vars(zero), f.name: value}).encode() ^ zero.encode()
            == (getattr(value, "value", value) ^ getattr(base, "value", base)) << at.offset
        )
    assert used == cls.layout.size <= WORD_BITS


@ALL
def test_out_of_range(cls):
    for f in fields(cls):
        width = f.metadata["width"]
        for value in (-1, 1 << width, 0.5, None, "1"):
            with pytest.raises(ValueError) as error:
                cls(**{f.name: value})
            assert (
                str(error.value)
                == f"{cls.op.name}.{f.name} must fit in {width} bits, not {value!r}"
            )


def test_out_of_range_text():
    with pytest.raises(ValueError, match=r"^MATMUL\.rows must fit in 20 bits, not 1048576$"):
        MatMul(rows=1 << 20)


@ALL
def test_registers_are_added_to_fields(cls):
    names = {f.name for f in fields(cls)}
    for target, register in cls.relative.items():
        assert {target, register} <= names
        assert register == f"{target}_reg"
        assert cls.layout[register].width == (isa.REGISTERS - 1).bit_length()
    assert set(cls.relative.values()) == {n for n in names if n.endswith("_reg")}


def test_relative():
    assert Attend.relative == {
        "addr": "addr_reg",
        "length": "length_reg",
        "dst": "dst_reg",
        "sums": "sums_reg",
        "newest": "newest_reg",
    }
    assert Halt.relative == {}


@ALL
def test_opcode_names_the_queue(cls):
    if cls.op not in CONTROL:
        assert Unit(cls.op.value >> 4) in Unit
    else:
        assert cls.op.value < 0x10


def test_every_opcode_has_an_instruction():
    assert set(Insn.by_op) == set(Op)


def test_sources_follow_the_registers():
    assert min(s.value for s in Source) == isa.REGISTERS


def test_unknown_opcode():
    for opcode in set(range(256)) - {op.value for op in Op}:
        with pytest.raises(ValueError, match=rf"^{opcode} is not a valid Op$"):
            decode(opcode)


def test_unknown_enum_value():
    word = Quant(dest=Dest.ACT).encode() | 3 << Quant.layout["dest"].offset
    with pytest.raises(ValueError, match=r"^3 is not a valid Dest$"):
        decode(word)
    for cls, field in (Quant, "dest"), (Vector, "func"):
        most = (1 << cls.layout[field].width) - 1
        with pytest.raises(ValueError, match=rf"^{most} is not a valid (Dest|Func)$"):
            decode(cls().encode() | most << cls.layout[field].offset)
    with pytest.raises(ValueError, match=r"^0 is not a valid Unit$"):
        decode(Op.SYNC.value)


def test_formats_have_their_numbers():
    # Images hold them.
    known = {"U4": 0, "S8": 1, "U1": 2, "U2": 3, "U3": 4, "TERNARY": 5, "SPARSE4": 6, "SPARSE8": 7}
    assert {name: WeightFormat[name].value for name in known} == known
    assert Descriptor.layout["format"].width == 5
    assert max(f.value for f in WeightFormat) < 32  # bits of the register FORMATS
    assert {f.name: f.value for f in Func} == {
        "MADD": 0,
        "NMADD": 1,
        "DOT": 2,
        "CLAMP": 3,
        "SCALE": 4,
        "NSCALE": 5,
        "RECIP": 6,
        "RSQRT": 7,
        "NSCALE1": 8,
        "REST": 9,
    }
    assert Vector.layout["func"].width == 5


def test_too_wide():
    with pytest.raises(TypeError, match=r"^Wide must fit in 256 bits, not 257$"):

        class Wide(Insn, op=Op.HALT):
            """Too wide."""

            field: int = bits(WORD_BITS - 7, "One bit too many.")

    assert Insn.by_op[Op.HALT] is Halt


def test_frozen():
    with pytest.raises(AttributeError):
        Load(addr=1).addr = 2


def test_text():
    assert str(Halt()) == "halt"
    assert str(Load(addr=16, size=2)) == "load addr=16 size=2"
    assert str(Sync(unit=Unit.VECTOR, give=3)) == "sync unit=Unit.VECTOR give=3"


def test_markdown_has_every_field():
    text = "\n".join(isa.markdown())
    for cls in Insn.by_op.values():
        assert f"## {cls.op.name} ({cls.op.value:#04x})" in text
        for f in fields(cls):
            assert f"| `{f.name}` | {f.metadata['doc']} |" in text
