"""Bins of random programs: each is counted where it is reached, and none is left out without a
word.
"""

from dataclasses import fields
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from rtl.spec.config import get
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Func,
    Halt,
    Insn,
    Load,
    Loop,
    MatMul,
    Op,
    Quant,
    Scalar,
    Source,
    Sync,
    Unit,
    Vector,
    WeightFormat,
)
from sim.fpga.state import counters
from sim.programs.coverage import CLASSES, UNREACHABLE, Coverage
from sim.programs.generator import Program
from sim.programs.ranges import FEW, LIMITED, bin_of, counted, field_bins, values
from sim.programs.world import World


CONFIG = get("small")
WORLD = World(CONFIG, Random(3))


def recorded(transitions=(), **peaks):
    """A device that has recorded something."""
    none = dict.fromkeys(counters(CONFIG), 0)
    return SimpleNamespace(
        transitions=lambda: np.array([(0, 0), *transitions], np.uint64), peaks=lambda: none | peaks
    )


def ran(*insns, executed=None, sim=recorded(), position=7, head=True, tokens=(5,), grown=()):
    """Bins of a program, and of what units have executed of it: all, if nothing else is said."""
    coverage = Coverage(CONFIG)
    program = Program((*insns, Halt()), list(tokens), position, head)
    if executed is None:
        executed = [(pc, insn) for pc, insn in enumerate(insns) if insn.op.value >= Op.SYNC.value]
    formats = ["U4"] * sum(isinstance(insn, MatMul) for _, insn in executed)
    coverage.ran(WORLD, program, executed, formats, sim, grown)
    assert set(coverage.seen) <= coverage.reachable
    return coverage.seen


def test_fields():
    seen = ran(Load(addr=0, size=512, dst=8192 - 16), Load(addr=WORLD.end - 1, size=1, dst=16))
    for name, ends in {
        "addr": ("least", "most"),
        "size": ("most", "least"),
        "dst": ("most", "between"),
    }.items():
        assert {each[3] for each in seen if each[:3] == ("fields", "LOAD", name)} == set(ends)
    assert ("instructions", "LOAD", 1) in seen


def test_each_value_of_a_narrow_field():
    seen = ran(Sync(unit=Unit.LOAD, give=15), Scalar(rd=7, source=Source.HEAD.value))
    assert {
        ("fields", "SYNC", "give", 15),
        ("fields", "SYNC", "unit", 1),
        ("fields", "SCALAR", "rd", 7),
        ("fields", "SCALAR", "source", 10),
    } <= set(seen)
    assert sum(each[:3] == ("fields", "SYNC", "take") for each in Coverage(CONFIG).reachable) == 16


def test_fields_without_an_effect_do_not_count():
    def names(insn):
        return set(counted(insn, CONFIG))

    assert not names(Vector(func=Func.RECIP, outer=1)) & {
        "b",
        "c",
        "b_const",
        "c_const",
        "a_stride",
        "d_stride",
    }
    assert {"b", "b_stride", "d_stride"} <= names(Vector(func=Func.DOT, outer=2))
    assert "b_value" in names(Vector(b_const=1)) and not names(Vector(b_const=1)) & {"b", "b_fill"}
    assert "act" in names(Quant(outer=1)) and not names(Quant(dest=Dest.KV, outer=1)) & {
        "act",
        "stride",
    }
    assert "dst" in names(MatMul()) and "dst" not in names(MatMul(best=1))
    for kind in Append, Attend:
        assert "stride" in names(kind(heads=2)) and "stride" not in names(kind(heads=1))


def test_registers():
    insn = Load(addr=5, size=1, dst=32, addr_reg=3)
    for encoded, how in (5, "none"), (4, "added"), ((1 << 32) - 1, "wraps"):
        seen = ran(Load(addr=encoded, size=1, dst=32, addr_reg=3), executed=[(0, insn)])
        assert ("registers", "LOAD", "addr", how) in seen


def test_units_in_flight():
    seen = ran(sim=recorded([(5, 0b00010), (6, 0b110010), (9, 0)]))
    assert {each[1:] for each in seen if each[0] == "units in flight"} == {
        ("LOAD", "VECTOR"),
        ("LOAD", "ATTENTION"),
        ("VECTOR", "ATTENTION"),
        ("LOAD", "VECTOR", "ATTENTION"),
    }


def test_tokens():
    seen = ran(Sync(unit=Unit.LOAD, give=4), Sync(unit=Unit.VECTOR, take=4))
    assert [each[1:] for each in seen if each[0] == "tokens"] == [("LOAD", "VECTOR")]


def test_limits():
    def limits(*insns, **options):
        return {each[1:] for each in ran(*insns, **options) if each[0] == "limits"}

    full = limits(sim=recorded(vector=64, load=7, prefetch=1023, token3=255, token4=2))
    assert {
        ("queue of VECTOR", "full"),
        ("queue of LOAD", "not full"),
        ("buffer of weights", "full"),
        ("tokens in a counter", "most"),
        ("tokens in a counter", "between"),
    } <= full
    assert ("buffer of weights", "not full") in limits(sim=recorded(prefetch=1022))
    assert ("running maximum of scores", "grows") in limits(grown={True, False})
    assert ("running maximum of scores", "grows") not in limits(grown={False})
    nested = limits(Loop(length=4, count=1), Loop(length=1, count=1), Scalar(), Scalar(), Scalar())
    assert {depth for name, depth in nested if name == "loops in each other"} == {0, 1, 2}
    assert ("length of the program", "least") in limits()
    assert ("length of the program", "most") in limits(*[Scalar()] * 1023)
    assert ("position", "most") in limits(position=65535) and ("token", "most") in limits(
        tokens=[(1 << 20) - 1]
    )
    search, behind = MatMul(rows=9, groups=1, best=1), "searches one right behind the other"
    assert (behind, True) in limits(search, search) and (behind, False) in limits(
        search, MatMul(rows=9, groups=1)
    )
    assert ("logits searched", "none") in limits() and ("logits searched", "none") not in limits(
        head=False
    )
    for rows, name in (
        (1, "one"),
        (63, "fewer than kept"),
        (64, "as many as kept"),
        (65, "more than kept"),
    ):
        assert ("logits searched", name) in limits(
            MatMul(rows=rows, groups=1, best=1), MatMul(rows=9, groups=1)
        )


def test_every_field_has_bins():
    """All values of its width, or those that the table gives a reason for."""
    bins = list(field_bins(CONFIG))
    for op, cls in Insn.by_op.items():
        for each in fields(cls):
            found = [part for name, field, part in bins if (name, field) == (op.name, each.name)]
            width, shape = each.metadata["width"], each.metadata["shape"]
            able = values(op, each.name, CONFIG, WORLD)
            if "adds_to" in each.metadata:
                assert not found
            elif width <= FEW or shape in (WeightFormat, Func):
                assert found == list(able)
            else:
                assert found == ["least", "between", "most"] and len(able) >= 3
            if (op, each.name) not in LIMITED:
                every = (
                    range(1 << width)
                    if isinstance(shape, int)
                    else [member.value for member in shape]
                )
                assert able == every
    assert all(why for _, why in [*LIMITED.values(), *UNREACHABLE.values()])


def test_what_the_table_rules_out():
    with pytest.raises(
        ValueError, match=r"LOAD.size is 0, which sim/programs/ranges.py rules out: range\(1, 513\)"
    ):
        bin_of(Op.LOAD, "size", 0, CONFIG, WORLD)
    with pytest.raises(ValueError, match="TOKEN.source is 9"):
        bin_of(Op.TOKEN, "source", Source.COLUMNS.value, CONFIG, WORLD)
    assert ("registers", "MATMUL", "column", "added") not in Coverage(CONFIG).reachable
    assert ("registers", "MATMUL", "column", "added") in Coverage(get("wide")).reachable


def test_merge_and_table():
    one, other, both = Coverage(CONFIG), Coverage(CONFIG), Coverage(CONFIG)
    one.seen.update([("tokens", "LOAD", "VECTOR")])
    other.seen.update([("tokens", "LOAD", "VECTOR"), ("tokens", "VECTOR", "LOAD")])
    for each in one, other:
        both.merge(each)
    assert both.seen == {("tokens", "LOAD", "VECTOR"): 2, ("tokens", "VECTOR", "LOAD"): 1}
    assert 2 / len(both.reachable) == pytest.approx(both.share)
    table = list(both.table())
    assert [line.split("  ")[0] for line in table] == [*CLASSES, "all"]
    assert table[4].split() == "tokens 2 of 12 bins 16.7 %".split()
    assert "tokens VECTOR LOAD" not in both.missing and "tokens LINEAR LOAD" in both.missing


def test_formats():
    """Of the matrix that a MATMUL meets, not of the MATMUL."""
    coverage, insns = Coverage(CONFIG), (MatMul(rows=9, groups=1), MatMul(rows=9, groups=1, best=1))
    program = Program((*insns, Halt()), [5], 0, True)
    coverage.ran(WORLD, program, [*enumerate(insns)], ["S8", "SPARSE4"], recorded())
    found = {each for each in coverage.seen if each[:2] == ("instructions", "MATMUL")}
    assert found == {
        ("instructions", "MATMUL", "S8", "product", 1),
        ("instructions", "MATMUL", "SPARSE4", "best", 1),
    }
