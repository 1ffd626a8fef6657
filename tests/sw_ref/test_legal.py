"""Every rule of a legal program has programs that break it, and none is broken by a legal one."""

import re
from dataclasses import replace

import numpy as np
import pytest

from rtl.spec.descriptor import described
from rtl.spec.formats import WeightFormat
from rtl.spec.isa import Dest, Halt, Load, Loop, Op, Quant, Scalar, Sync, Token, Unit
from rtl.spec.limits import POSITIONS
from rtl.spec.rules import RULES
from sw_ref import sequencer
from sw_ref.legal import IllegalProgram, MachineError
from sw_ref.machine import Machine
from sw_ref.verify import verify

from .programs import (
    CACHE,
    CONFIG,
    DATA,
    DESCRIPTORS,
    LEGAL,
    MATRIX,
    TABLE,
    UNITS,
    WEIGHTS,
    machine,
    memory,
    run,
    words,
)


def changed(name, **fields):
    """The program with other fields in one instruction."""
    return [replace(insn, **fields) if key == name else insn for key, insn in LEGAL.items()]


def before(name, *insns):
    """The program with instructions put before one."""
    return [
        each for key, insn in LEGAL.items() for each in ((*insns, insn) if key == name else (insn,))
    ]


def without(*names):
    """The program without some instructions."""
    return [insn for key, insn in LEGAL.items() if key not in names]


def test_legal():
    made = run(LEGAL.values())
    assert made.memory[64 * CACHE :].any() and np.isfinite(made.vector).all()
    verify(CONFIG, made.memory, UNITS, (CACHE, UNITS), words(LEGAL.values()), 64, 4)


BLOCK = CONFIG.kv_block_units


def in_ring(**fields):
    """The program with an ATTEND to a window of four positions, in a ring of two blocks."""
    ring = {"window": 4, "stride": 2 * BLOCK, "newest": CACHE + BLOCK, "length_reg": 0}
    return changed("attend", **{**ring, "length": 40, **fields})


@pytest.mark.parametrize(
    "fields",
    [{}, {"newest": CACHE}, {"length": 32, "stride": BLOCK, "newest": CACHE}, {"window": 33}],
)
def test_legal_ring(fields):
    """A window that begins anywhere in a block fits; and a context that is as short as the ring."""
    run(in_ring(**fields))


NOTHING = Scalar()

# Programs by the rule that they break.
ILLEGAL = {
    "opcode": [
        [0xEE, Halt()],
        [0, Halt()],
        [Op.SYNC.value | 7 << 8, Halt()],
        [Quant(dest=Dest.ACT).encode() | 3 << Quant.layout["dest"].offset, Halt()],
    ],
    "reserved": [
        [Halt().encode() | 1 << 255],
        [Sync().encode() | 1 << 20, Halt()],
        [Load(size=1).encode() | 1 << Load.layout.size, Halt()],
    ],
    "length": [[], [NOTHING] * CONFIG.program_words + [Halt()]],
    "halt": [
        [NOTHING],
        [Halt(), Halt()],
        [Halt(), NOTHING],
        before("loop", Halt()),
        [Loop(length=1, count=1)],
    ],
    "loop": [
        [Loop(length=0, count=1), NOTHING, Halt()],
        [Loop(length=2, count=1), NOTHING, Halt()],
        [Loop(length=1, count=1), Halt()],
        changed("loop", length=50),
        [Loop(length=2, count=1), Loop(length=1, count=1), NOTHING, Halt()],
        [Loop(length=3, count=1), Loop(length=3, count=1), NOTHING, NOTHING, NOTHING, Halt()],
        [*(Loop(length=2 * n, count=1) for n in range(5, 0, -1)), *[NOTHING] * 7, Halt()],
        # Also where it would not be executed.
        [Loop(length=1, count=0), Loop(length=0), NOTHING, Halt()],
    ],
    "source": [
        [Scalar(source=11), Halt()],
        [Scalar(plus=15), Halt()],
        [Loop(length=1, source=12), NOTHING, Halt()],
        [Token(source=11), Halt()],
    ],
    "tokens": [
        [Sync(unit=Unit.LOAD, give=1), Sync(unit=Unit.LOAD, take=1), Halt()],
        [Sync(unit=Unit.LOAD, give=1), Sync(unit=Unit.LINEAR, give=1), Halt()],
        [
            Sync(unit=Unit.LOAD, give=1),
            Sync(unit=Unit.VECTOR, take=1),
            Sync(unit=Unit.LINEAR, take=1),
            Halt(),
        ],
    ],
    "column": [
        changed("more", column=2),
        changed("matmul", column=1),
        [Scalar(rd=1, offset=2), Token(source=1), Halt()],
    ],
    "descriptor": [
        *(
            changed("stream", addr=DESCRIPTORS[name])
            for name in ("nothing", "magic", "rows", "groups", "reserved")
        ),
        changed("matmul", rows=9),
        changed("matmul", groups=1),
        changed("stream", addr=TABLE),
    ],
    "format": [changed("stream", addr=DESCRIPTORS[name]) for name in ("U1", "TERNARY", "none")],
    "size": [
        changed("load", size=0),
        changed("stream", size=0),
        changed("matmul", rows=0),
        changed("matmul", groups=0),
        changed("embed", groups=0),
        changed("add", outer=0),
        changed("add", inner=0),
        changed("acts", outer=0),
        changed("keys", inner=0),
        changed("append", heads=0),
        changed("attend", heads=0),
        changed("attend", queries=0),
        changed("attend", queries=3),
        changed("add", outer=255, inner=4116, a_fill=1, b_fill=1),
        changed("attend", length=0, length_reg=0),
    ],
    "positions": [
        changed("attend", length=POSITIONS + 1, length_reg=0),
        changed("attend", length=POSITIONS),
    ],
    "ring": [
        in_ring(stride=BLOCK + 1),
        in_ring(newest=CACHE - BLOCK),
        in_ring(newest=CACHE + 2 * BLOCK),
        in_ring(newest=CACHE + 1),
        in_ring(window=4, stride=BLOCK, length=33),
        in_ring(stride=0),
    ],
    "cap": [changed("attend", cap=1)],
    "align": [
        changed("load", dst=4),
        changed("add", d=2),
        changed("add", a=1),
        changed("add", b=3),
        changed("add", c=2),
        changed("add", d_stride=2),
        changed("add", a_stride=6),
        changed("add", inner=30),
        changed("acts", a=2),
        changed("acts", stride=2),
        changed("acts", inner=40),
        changed("keys", inner=32),
        changed("attend", dst=1026),
        changed("attend", sums=1281),
    ],
    "vector": [
        changed("load", dst=2048 - 240),
        changed("add", d=2048 - 64),
        changed("half", a=2044),
        changed("add", c_stride=2044),
        changed("acts", outer=33, stride=64),
        changed("matmul", dst=2044),
        changed("matmul", stride=1300),
        changed("embed", dst=2000),
        changed("attend", dst=1924),
        changed("attend", sums=2044),
    ],
    "buffer": [
        changed("acts", act=15),
        changed("matmul", act=15),
        changed("acts", outer=9, stride=0),
    ],
    "memory": [
        changed("load", addr=UNITS - 15),
        changed("load", addr=(1 << 32) - 1),
        changed("stream", addr=UNITS),
        changed("append", addr=UNITS),
        changed("attend", addr=UNITS - 64),
        changed("attend", heads=2, queries=1, stride=(1 << 24) - 1),
        in_ring(addr=UNITS - BLOCK, newest=UNITS - BLOCK),
        in_ring(heads=4, queries=1, stride=4 * BLOCK),
    ],
    "area": [
        changed("load", addr=CACHE - 15),
        changed("load", addr=UNITS - 16),
        changed("stream", addr=CACHE - MATRIX + 1),
        changed("append", addr=WEIGHTS),
        changed("append", addr=CACHE - 1),
    ],
    "overlap": [
        changed("add", a=4),
        changed("add", d=64),
        changed("add", a_stride=32),
        changed("add", b=64, b_stride=0),
        changed("half", a_fill=1, a=512),
        changed("add", b_fill=1, b=0),
        changed("dot", d=0),
        changed("dot", d=124),
        changed("add", outer=2, d_stride=32, a_stride=32),
        changed("matmul", stride=4),
        changed("attend", sums=1024),
        changed("attend", sums=1148),
    ],
    "stream": [
        without("stream"),
        without("fetch"),
        changed("stream", size=MATRIX - 1),
        changed("stream", size=MATRIX + 1),
        before("halt", LEGAL["stream"]),
    ],
    "weights": [],
    "groups": [
        without("append"),
        without("attend"),
        without("keys"),
        without("queries"),
        before("append", NOTHING, LEGAL["half"]),
        before("attend", Sync(unit=Unit.ATTENTION, give=6)),
        changed("queries", outer=2, stride=0),
        changed("append", heads=2, stride=65),
        changed("keys", dest=Dest.QUERY),
        changed("attend", queries=1),
        before("halt", LEGAL["queries"]),
    ],
    "activations": [
        without("acts"),
        without("others", "more"),
        changed("acts", act=1),
        changed("matmul", act=1),
        changed("acts", inner=32),
        changed("more", inner=32),
        before("ready", Quant(dest=Dest.ACT, outer=1, inner=32, a=0, act=4)),
    ],
    "token": [
        without("loaded"),
        without("ready"),
        [LEGAL["take"], LEGAL["loaded"], Halt()],
        [Loop(length=1, count=256), Sync(unit=Unit.LOAD, give=1), Halt()],
    ],
    "race": [
        without("take"),
        without("found"),
        without("wait"),
        without("result"),
        without("answer"),
        # Nothing tells LOAD that what it overwrites has been read.
        before("halt", Load(addr=DATA, size=1, dst=0)),
        # Nor LINEAR's last product that there are new activations.
        before("result", LEGAL["acts"]),
        # Heads are written while others are still read.
        changed("attend", dst=0),
    ],
    "undefined": [
        changed("add", b=1536),
        changed("half", a=1600),
        changed("keys", a=896),
        changed("load", size=8),
        changed("use", b=788),
    ],
    "limit": [
        [Loop(length=1, count=65535), NOTHING, NOTHING, NOTHING, Halt()],
        [Loop(length=3, count=65535), Loop(length=1, count=65535), NOTHING, NOTHING, Halt()],
    ],
}


@pytest.mark.parametrize(
    "rule, n", [(rule, n) for rule, programs in ILLEGAL.items() for n in range(len(programs))]
)
def test_refused(rule, n, monkeypatch):
    monkeypatch.setattr(sequencer, "LIMIT", 1 << 16)
    with pytest.raises(IllegalProgram) as caught:
        run(ILLEGAL[rule][n])
    error = caught.value
    assert error.rule == rule, error
    assert re.fullmatch(
        r"(Instruction \d+( \(.*\))?|Program) breaks the rule `\w+`: expected .+, found .+",
        str(error),
    ), error
    assert "\n" not in str(error) and isinstance(error, MachineError)


def test_every_rule_is_broken():
    assert set(ILLEGAL) == set(RULES)
    # Weights are data: they have tests of their own.
    assert all(ILLEGAL[rule] for rule in set(RULES) - {"weights"})


@pytest.mark.parametrize(
    "rule, n",
    [
        (rule, n)
        for rule, programs in ILLEGAL.items()
        for n in range(len(programs))
        if rule != "limit"
    ],
)
def test_verify_refuses_the_same(rule, n):
    """Without running it."""
    with pytest.raises(IllegalProgram) as caught:
        verify(CONFIG, memory(), UNITS, (CACHE, UNITS), words(ILLEGAL[rule][n]), 64, 4)
    assert caught.value.rule == rule


HEADER = 4 + 4  # the beat of the header, behind the descriptor and the row scales


def sparse():
    """A packed sparse matrix of 16 rows."""
    codes = np.zeros((16, 64), np.int8)
    codes[:, ::16] = 5
    ones = np.ones((16, 2), np.uint8)
    return np.frombuffer(
        described(
            WeightFormat.SPARSE8,
            codes,
            ones,
            ones.astype(np.int8),
            np.ones(16, np.float32),
            0,
            CONFIG.beat_bytes,
        ),
        np.uint8,
    )


@pytest.mark.parametrize(
    "change, rule",
    [
        (lambda raw: raw, None),
        (lambda raw: raw | 7 * (np.arange(len(raw)) // 16 == HEADER).astype(np.uint8), "weights"),
        (
            lambda raw: (
                raw
                & ~(8 * (np.arange(len(raw)) // 16 == HEADER).astype(np.uint8))
                & np.where(np.arange(len(raw)) // 16 == HEADER, 0x77, 0xFF).astype(np.uint8)
            ),
            "weights",
        ),
    ],
)
def test_sparse_weights(change, rule):
    raw = change(sparse())
    data = memory()
    data[64 * WEIGHTS : 64 * WEIGHTS + len(raw)] = raw
    program = [
        replace(insn, size=len(raw) // 64)
        if insn is LEGAL["stream"]
        else replace(insn, rows=16, dst=768, stride=16)
        if insn is LEGAL["matmul"]
        else insn
        for insn in without("fetch", "embed")
    ]
    program = [replace(insn, c=128) if insn is LEGAL["add"] else insn for insn in program]
    made = Machine(CONFIG, data, writable=(CACHE, UNITS))
    if rule is None:
        made.run(words(program), tokens=[1, 2], position=3)
        return
    with pytest.raises(IllegalProgram) as caught:
        made.run(words(program), tokens=[1, 2], position=3)
    assert caught.value.rule == rule


def test_trusted_machine_keeps_the_rules_of_instructions():
    with pytest.raises(IllegalProgram, match="rule `align`"):
        run(changed("add", d=2), trusted=True)


def test_instructions_that_nobody_sees():
    """The watchdog would end a run of the sequencer's own instructions that is longer."""
    few, many = ([Loop(length=1, count=count), NOTHING, Halt()] for count in (65535, 40000))
    run(few)
    with pytest.raises(
        IllegalProgram, match="rule `limit`: expected at most 65536 instructions of the sequencer"
    ):
        run([*many[:2], *many[:2], Halt()])
    run([*many[:2], Sync(), *many[:2], Halt()])


def test_interrupt_of_an_endless_loop():
    """It dispatches nothing, so nothing else could notice."""

    class Stop(Exception):
        pass

    def poll():
        raise Stop

    loop = [
        Loop(length=5, count=65535),
        Loop(length=3, count=65535),
        Loop(length=1, count=65535),
        NOTHING,
        NOTHING,
        NOTHING,
        Halt(),
    ]
    with pytest.raises(Stop):
        machine().run(words(loop), tokens=[1], position=0, poll=poll)
