"""Tokens: which the finder puts, and where."""

import pytest

from mapper.assembler import Assembler
from mapper.sync_tokens import Tokens
from rtl.spec.config import get
from rtl.spec.isa import Func, Halt, Load, MatMul, Quant, Scalar, Source, Sync, Unit, Vector
from sw_ref.legal import IllegalProgram


CONFIG = get("small")
LOAD = Load(addr=0, size=4, dst=0)
USE = Vector(func=Func.MADD, outer=1, inner=64, d=64, a=0, b_const=1, c_const=1)


def scheduled(build):
    """The program with its tokens."""
    asm = Assembler(CONFIG.lanes)
    build(asm)
    asm.emit(Halt())
    asm.items = Tokens.find(asm.items, CONFIG).insert(asm.items)
    return asm


def with_tokens(build):
    """Text of a program with its tokens: names of instructions, and units for Syncs."""
    return [
        f"{i.unit.name} {'takes' if i.take else 'gives'} {i.take or i.give}"
        if isinstance(i, Sync)
        else i.op.name
        for i in scheduled(build).insns
    ]


def reasons(build):
    """What each Sync of a program is there for."""
    lines = scheduled(build).lines()
    assert not any(line.why for line in lines if not isinstance(line.insn, Sync))
    return [line.why for line in lines if isinstance(line.insn, Sync)]


def test_none_within_a_unit():
    assert with_tokens(lambda asm: asm.emit(LOAD, LOAD)) == ["LOAD", "LOAD", "HALT"]


def test_given_behind_taken_before():
    """And once for all that one token orders."""
    assert with_tokens(lambda asm: asm.emit(LOAD, LOAD, USE, USE)) == [
        "LOAD",
        "LOAD",
        "LOAD gives 1",
        "VECTOR takes 1",
        "VECTOR",
        "VECTOR",
        "HALT",
    ]


def test_words_that_are_read_are_not_overwritten():
    assert with_tokens(lambda asm: asm.emit(LOAD, USE, LOAD)) == [
        "LOAD",
        "LOAD gives 1",
        "VECTOR takes 1",
        "VECTOR",
        "VECTOR gives 2",
        "LOAD takes 2",
        "LOAD",
        "HALT",
    ]


def test_next_round():
    """The first round takes a token that is given before the loop; the last one's is there behind
    it."""

    def build(asm):
        with asm.loop(count=5):
            asm.emit(LOAD, USE, Scalar(rd=1))
        asm.emit(LOAD)

    assert with_tokens(build) == [
        "VECTOR gives 2",
        "LOOP",
        "LOAD takes 2",
        "LOAD",
        "LOAD gives 1",
        "VECTOR takes 1",
        "VECTOR",
        "VECTOR gives 2",
        "SCALAR",
        "LOAD takes 2",
        "LOAD",
        "HALT",
    ]


def test_first_round_waits_for_nothing():
    """The token that the first round finds is given ahead of what its unit waits for there."""

    def build(asm):
        asm.emit(LOAD)
        with asm.loop(count=3):
            asm.emit(
                Load(addr=8, size=4, dst=128),
                Vector(func=Func.MADD, outer=1, inner=64, d=64, a=0, b_const=1, c=128),
            )

    before = with_tokens(build)
    before = before[: before.index("LOOP")]
    assert [line for line in before if line.startswith("VECTOR")] == [
        "VECTOR gives 2",
        "VECTOR takes 1",
    ]


def test_around_a_loop():
    """What all rounds of an inner loop need is waited for once, before it."""

    def build(asm):
        asm.emit(LOAD, Scalar(rd=3))
        with asm.loop(source=Source.COLUMNS.value):
            asm.emit(USE, USE)

    assert with_tokens(build) == [
        "LOAD",
        "LOAD gives 1",
        "SCALAR",
        "VECTOR takes 1",
        "LOOP",
        "VECTOR",
        "VECTOR",
        "HALT",
    ]


def test_reasons():
    """Who touches which words that whom must have left."""

    def build(asm):
        with asm.loop(count=2):
            asm.node = "gain"
            asm.emit(LOAD)
            asm.node = "norm"
            asm.emit(USE, Quant(outer=1, inner=64, a=64))
            asm.node = "down"
            asm.emit(MatMul(rows=64, groups=2, dst=128))

    written = "word 0, written by LOAD, before VECTOR's norm"
    read = "word 0, read by VECTOR, before LOAD's gain"
    column = "column 0 of the activation buffer, {} by {}, before {}"
    quantized = column.format("written", "VECTOR", "LINEAR's down")
    multiplied = column.format("read", "LINEAR", "VECTOR's norm")
    first = "nothing yet, for the first round to take"
    assert sorted(reasons(build)) == sorted(
        [first] * 2 + [why for why in (written, read, quantized, multiplied) for _ in range(2)]
    )


def test_inner_rounds_that_depend_on_each_other():
    """A token more is given before the inner loop, and taken behind it, each time."""

    def build(asm):
        with asm.loop(count=2):
            with asm.loop(count=2):
                asm.emit(LOAD, USE)
            asm.emit(Scalar(rd=1))

    assert with_tokens(build) == [
        "LOOP",
        "VECTOR gives 2",
        "LOOP",
        "LOAD takes 2",
        "LOAD",
        "LOAD gives 1",
        "VECTOR takes 1",
        "VECTOR",
        "VECTOR gives 2",
        "LOAD takes 2",
        "SCALAR",
        "HALT",
    ]
    first, last = "nothing yet, for the first round to take", "what the last round gave"
    found = reasons(build)
    assert found[0] == first and found[-1].startswith(last)


def test_what_no_token_mends():
    """The node that breaks another rule is named."""

    def build(asm):
        asm.node = "layer / q"
        asm.emit(Quant(inner=32, outer=1, a=0))

    with pytest.raises(IllegalProgram) as caught:
        with_tokens(build)
    assert caught.value.rule == "undefined" and caught.value.where.startswith(
        "Instruction of layer / q (quant "
    )


def test_units_have_a_counter_a_pair():
    from mapper.compile import compile_model
    from rtl.spec.isa import decode
    from sim.models.toy import toy_model

    image = compile_model(toy_model(heads=6, kv_heads=2), CONFIG, 32)
    syncs = [i for i in map(decode, image.instructions) if isinstance(i, Sync)]
    givers = {i.give: i.unit for i in syncs if i.give}
    takers = {i.take: i.unit for i in syncs if i.take}
    pairs = {(givers[n], takers[n]) for n in givers}
    assert len(pairs) == len(givers) == len(takers)
    assert pairs == {
        (Unit.LINEAR, Unit.VECTOR),
        (Unit.LOAD, Unit.VECTOR),
        (Unit.VECTOR, Unit.LINEAR),
        (Unit.VECTOR, Unit.LOAD),
        (Unit.ATTENTION, Unit.VECTOR),
    }
