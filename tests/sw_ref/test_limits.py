"""Programs at the machine's limits, which are legal, and one beyond, which break a rule."""

import pytest

from rtl.spec import limits
from rtl.spec.formats import FORMATS
from rtl.spec.isa import (
    Append,
    Attend,
    Halt,
    Load,
    Loop,
    MatMul,
    Quant,
    Scalar,
    Stream,
    Sync,
    Unit,
    WeightFormat,
)
from sw_ref.checks import Bounds, check
from sw_ref.legal import Broken, IllegalProgram, decoded
from sw_ref.numerics import WINDOW
from sw_ref.order import Order
from tests.extreme import CONFIG


UNITS, BLOCK = limits.UNITS, CONFIG.kv_block_units
# Of limits that are less than what fields can say: an instruction with so many, the most, and the
# rule that one more breaks.
RULES = {
    "positions": (lambda n: Attend(heads=1, queries=1, length=n, sums=64), 65536, "positions"),
    "groups": (lambda n: MatMul(rows=1, groups=2, act=n - 2), CONFIG.act_groups, "buffer"),
    "groups of QUANT": (lambda n: Quant(outer=1, inner=64, act=n - 2), CONFIG.act_groups, "buffer"),
    "load": (lambda n: Load(size=n), CONFIG.vector_words // 16, "vector"),
    "column": (
        lambda n: MatMul(rows=n - limits.COLUMN, groups=1, stride=limits.COLUMN, column=1),
        CONFIG.vector_words,
        "vector",
    ),
    "units": (lambda n: Stream(addr=n - 1, size=1), UNITS, "memory"),
    "units of LOAD": (lambda n: Load(addr=n - 2, size=2), UNITS, "memory"),
    "units of APPEND": (
        lambda n: Append(heads=2, addr=n - 1000 - BLOCK, stride=1000),
        UNITS,
        "memory",
    ),
    "units of ATTEND": (
        lambda n: Attend(
            heads=2, queries=1, addr=n - 1000 - 2 * BLOCK, stride=1000, length=33, sums=128
        ),
        UNITS,
        "memory",
    ),
}


def broken(insn, config=CONFIG):
    """The rule that it breaks, or None. APPEND may write all DRAM, the others may read all."""
    first = 0 if isinstance(insn, Append) else UNITS
    try:
        check(insn, Bounds(config, UNITS, first, UNITS), columns=2)
    except Broken as error:
        return error.args[0]
    return None


@pytest.mark.parametrize("name", RULES)
def test_rule(name):
    insn, most, rule = RULES[name]
    assert broken(insn(most)) is None
    assert broken(insn(most + 1)) == rule


def test_sums_of_all_groups():
    """The most of every format, however its centres are shifted, within an accumulator's bits."""
    bits = {
        fmt: its.sum_bits(limits.GROUPS, limits.CENTRE * its.centred, WINDOW)
        for fmt, its in FORMATS.items()
    }
    assert max(bits.values()) == bits[WeightFormat.S8] == bits[WeightFormat.U4] == limits.ACC_BITS
    assert limits.ACC_BITS <= 54  # a float64 holds them, sign included
    # One group more, and one bit more would be needed.
    more = 32 * 127 * ((1 << limits.INTEGER_BITS) - 1) << WINDOW
    assert (limits.GROUPS * more).bit_length() < limits.ACC_BITS
    assert ((limits.GROUPS + 10) * more).bit_length() == limits.ACC_BITS


def refused(insns, program_words=CONFIG.program_words):
    """The rule that the text of a program breaks, or None."""
    try:
        decoded(tuple(insn.encode() for insn in insns), program_words)
    except IllegalProgram as error:
        return error.rule
    return None


def test_loops():
    def nested(depth):
        return [
            *(Loop(length=2 * (depth - n) - 1, count=1) for n in range(depth)),
            *depth * [Scalar(rd=1)],
            Halt(),
        ]

    assert refused(nested(limits.LOOP_DEPTH)) is None
    assert refused(nested(limits.LOOP_DEPTH + 1)) == "loop"


def test_instructions():
    def program(length):
        return [*(length - 1) * [Scalar(rd=1)], Halt()]

    most = limits.LIMITS["instructions"].most
    assert refused(program(most)) is None and refused(program(most + 1)) == "length"
    # A configuration may hold less.
    assert refused(program(16), 16) is None and refused(program(17), 16) == "length"


@pytest.mark.parametrize("taken", [0, 3])
def test_tokens(taken):
    """Also when some were taken, and then as many more were given."""
    order, most = Order(CONFIG, []), limits.LIMITS["tokens"].most
    give, take = Sync(unit=Unit.LOAD, give=1), Sync(unit=Unit.VECTOR, take=1, give=2)
    for _ in range(most):
        order.follow(give)
    for _ in range(taken):
        order.follow(take)
        order.follow(Sync(unit=Unit.LOAD, take=2))
        order.follow(give)
    with pytest.raises(Broken) as caught:
        order.follow(give)
    assert caught.value.args == ("token", f"at most {most} tokens in counter 1", str(most + 1))
    for _ in range(most):
        order.follow(take)
    with pytest.raises(Broken) as caught:
        order.follow(take)
    assert caught.value.args[0] == "token"
