"""Every limit of :data:`rtl.limits.LIMITS`: what is at it is taken, and what is one beyond is refused.

`TESTS` says where. The mapper and the rules of a program are tested here, the accelerator in
`tests/test_limits_rtl.py` and, where a width lives in a component that a program cannot take to it,
in that component's bench.
"""

import ast
import re
from copy import copy
from functools import cache
from types import SimpleNamespace

import pytest

from host.errors import UserError
from mapper.compile import _check, _check_memory, compile_model
from mapper.layout import MemoryMap
from rtl import limits
from rtl.config import get
from rtl.formats import ACC_BITS, sum_bits
from rtl.isa import (Append, Attend, Embed, Halt, Load, Loop, MatMul, Quant, Scalar, Stream, Sync,
                     Unit, Vector, WeightFormat, decode)
from sim.tools import ROOT
from sw_ref.legal import Bounds, Broken, IllegalProgram, check, decoded
from sw_ref.numerics import WINDOW
from sw_ref.order import Order

from .extreme import CONFIG
from .toy import toy_model


HERE, RTL = "tests/test_limits.py::", "tests/test_limits_rtl.py::"
BENCHES, FAULTS = "sim/benches/", "tests/test_faults.py::"
# Tests of each limit: at it, and one beyond.
TESTS = {
    "positions": ([RTL + "test_positions", HERE + "test_compile", HERE + "test_rule"],
                  [HERE + "test_compile", HERE + "test_rule"]),
    "rows": ([RTL + "test_rows", RTL + "test_embedding_row", HERE + "test_compile"],
             [HERE + "test_compile", HERE + "test_field"]),
    "groups": ([RTL + "test_groups", HERE + "test_groups", HERE + "test_rule"],
               [HERE + "test_groups", HERE + "test_field", HERE + "test_rule"]),
    "heads": ([RTL + "test_heads", HERE + "test_heads"], [HERE + "test_heads", HERE + "test_field"]),
    "queries": ([RTL + "test_positions", RTL + "test_heads", HERE + "test_queries"],
                [HERE + "test_queries", HERE + "test_field", HERE + "test_rule"]),
    # A head of as many positions as there can be has less: its compile-time limit takes a number.
    "cache": ([BENCHES + "append.py::writes_the_lines", BENCHES + "attention.py::attends", HERE + "test_memory"],
              [HERE + "test_memory", HERE + "test_field"]),
    "repetitions": ([RTL + "test_repetitions_and_inner", RTL + "test_heads", HERE + "test_compile"],
                    [HERE + "test_compile", HERE + "test_field"]),
    # What lanes divide of 16,383 words is 16,382.
    "inner": ([RTL + "test_repetitions_and_inner", HERE + "test_compile"],
              [HERE + "test_compile", HERE + "test_field"]),
    "column": ([RTL + "test_column", HERE + "test_capacity"], [HERE + "test_capacity", HERE + "test_field"]),
    "layers": ([RTL + "test_loops", HERE + "test_compile"], [HERE + "test_compile", HERE + "test_field"]),
    "tokens": ([RTL + "test_tokens", HERE + "test_tokens"], [RTL + "test_tokens", HERE + "test_tokens"]),
    "loops": ([RTL + "test_loops", HERE + "test_loops"], [FAULTS + "test_fault", HERE + "test_loops"]),
    "instructions": ([RTL + "test_program", HERE + "test_instructions", HERE + "test_capacity"],
                     [FAULTS + "test_program_that_cannot_be_fetched", HERE + "test_instructions",
                      HERE + "test_capacity"]),
    # No vector memory has 65,535 times 16 words: the whole of the largest is loaded at once.
    "load": ([RTL + "test_load", HERE + "test_load"], [HERE + "test_rule", HERE + "test_field"]),
    # 16 GiB are not simulated: of a request this long, the reader's bench has the first bursts.
    "stream": ([BENCHES + "memory_reader.py::longest_request", HERE + "test_memory"],
               [HERE + "test_memory", HERE + "test_field"]),
    # Nor are 256 GiB: the benches have addresses this high, and the accelerator faults there.
    "units": ([BENCHES + "memory_reader.py::longest_request", BENCHES + "memory_writer.py::highest_address",
               HERE + "test_memory", HERE + "test_rule"],
              [RTL + "test_addresses", BENCHES + "memory_reader.py::address_fault",
               BENCHES + "memory_writer.py::faults", HERE + "test_memory", HERE + "test_rule"]),
    # Nor are 2**32 beats, of which two streams in a step have half as many: see `test_memory`.
    "beats": ([HERE + "test_memory"], [HERE + "test_memory"]),
    "writes": ([BENCHES + "memory_writer.py::outstanding"], [BENCHES + "memory_writer.py::outstanding"]),
}


@cache
def functions(path):
    """Names of the functions at the top of a file."""
    tree = ast.parse((ROOT / path).read_text())
    return {node.name for node in tree.body if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))}


@pytest.mark.parametrize("name", limits.LIMITS)
def test_has_tests(name):
    """Each limit has tests at it and one beyond, which exist."""
    for tests in TESTS[name]:
        assert tests
        for path, function in (test.split("::") for test in tests):
            assert function in functions(path), f"{path} has no {function}"


def test_table_has_nothing_else():
    assert TESTS.keys() == limits.LIMITS.keys()


# What the mapper refuses

MODEL = toy_model()


def resized(it, **sizes):
    """A model, or a configuration, with sizes that it would not take."""
    it = copy(it)
    for name, value in sizes.items():
        object.__setattr__(it, name, value)
    return it


def refusal(model, config=CONFIG, context=32):
    """Why a model is not compiled: one line."""
    with pytest.raises(UserError, match="^toy: ") as caught:
        compile_model(model, config, context)
    assert "\n" not in str(caught.value)
    return str(caught.value)


# Sizes of a model as the limited number, that number, and what is said of one more.
COMPILE = {
    "positions": (lambda n: {"context": n}, limits.POSITIONS, "65537 positions of context, the machine takes 65536"),
    "rows": (lambda n: {"vocab": n}, limits.ROWS, "1048576 tokens, the machine takes 1048575"),
    "repetitions": (lambda n: {"heads": n}, limits.REPETITIONS, "256 query heads, the machine takes 255"),
    "layers": (lambda n: {"layers": range(n)}, limits.LAYERS, "65536 layers, the machine takes 65535"),
    "inner": (lambda n: {"hidden": n}, limits.INNER, "the hidden size is 16384, the machine takes 16383"),
}


@pytest.mark.parametrize("name", COMPILE)
def test_compile(name):
    """Before anything of the model is read."""
    sizes, most, text = COMPILE[name]
    assert most == limits.LIMITS[name].most
    taken, model = (resized(MODEL, **sizes(n)) for n in (most, most + 1))
    _check(CONFIG, taken, taken.context)
    assert refusal(model, context=model.context).endswith(": " + text)


@pytest.mark.parametrize("sizes, beyond, what", [
    ({"ffn": 255 * 64}, {"ffn": 256 * 64}, "feed-forward size"),
    ({"kv_heads": 127, "heads": 127}, {"kv_heads": 128, "heads": 128}, "keys' and values' size"),
])
def test_inner_of_other_vectors(sizes, beyond, what):
    _check(CONFIG, resized(MODEL, **sizes), 32)
    assert refusal(resized(MODEL, **beyond)).endswith(f": the {what} is 16384, the machine takes 16383")


def test_heads():
    """Keys and values of as many would be too long for one QUANT, if heads were not shorter."""
    config, most = resized(CONFIG, head_dim=32), limits.LIMITS["heads"].most
    _check(config, resized(MODEL, kv_heads=most, heads=most, head_dim=32), 32)
    model = resized(MODEL, kv_heads=most + 1, heads=most, head_dim=32)
    assert refusal(model, config).endswith(": 256 KV heads, the machine takes 255")


def test_groups(monkeypatch):
    """Vectors of as many would be too long for one QUANT, if there were not more words in one."""
    monkeypatch.setattr(limits, "INNER", 1 << 20)
    most = limits.LIMITS["groups"].most
    _check(CONFIG, resized(MODEL, hidden=32 * most), 32)
    assert refusal(resized(MODEL, hidden=32 * (most + 1))).endswith(": 1024 groups of activations, the machine takes 1023")


def test_queries():
    """More query heads than one instruction takes go in several, whatever the configuration has."""
    for queries, passes in ((15, [15, 1]), (16, [15, 1])):
        image = compile_model(toy_model(heads=16, hidden=1024, ffn=64, layers=1), resized(get("wide"), queries=queries), 32)
        assert [i.queries for i in map(decode, image.instructions) if isinstance(i, Attend)] == passes


CAPACITIES = {
    "vector_words": "needs {} words of vector memory, configuration 'small' has {}",
    "act_groups": "{} activations, the buffer holds {}",
    "program_words": "the program has {} instructions, configuration 'small' holds {}",
    "COLUMN": "needs {} words of vector memory a column, the machine takes {}",
}


@pytest.mark.parametrize("name", CAPACITIES)
def test_capacity(name, monkeypatch):
    """What a program fills to the last place compiles, and is legal; with one place less it does not."""
    config = get("small")
    image, scale = compile_model(MODEL, config, 32), 32 if name == "act_groups" else 1
    report = image.report
    full = {"vector_words": report["vector_words"], "act_groups": MODEL.ffn // 32,
            "program_words": image.length, "COLUMN": report["vector_words"] - 2 * MODEL.hidden}[name]
    for size in (full, full - 1):
        if name == "COLUMN":
            monkeypatch.setattr(limits, name, size)
        else:
            config = resized(config, **{name: size})
        if size == full:
            assert compile_model(MODEL, config, 32).length == image.length
    assert refusal(MODEL, config).endswith(CAPACITIES[name].format(scale * full, scale * (full - 1)))


@pytest.mark.parametrize("context, blocks", [(1, 1), (31, 1), (32, 1), (33, 2), (40, 2), (64, 2), (65, 3)])
def test_cache_of_any_context(context, blocks):
    """A block of positions that is not full takes as much as any."""
    image = compile_model(MODEL, get("small"), context)
    first, end = image.writable
    assert end - first == 2 * blocks * get("small").kv_block_units and end == image.memory_units


# What is counted in a memory map.
MEMORY = {
    "cache": "units of a head's KV cache",
    "stream": "units of weights in the layers",
    "head": "units of weights in the head",
    "units": "units of DRAM",
    "beats": "beats of weights in a step",
}


@pytest.mark.parametrize("name", MEMORY)
def test_memory(name, monkeypatch):
    """What is larger than anything that a test can have, as numbers."""
    limit = "stream" if name == "head" else name
    most, kv_heads = limits.LIMITS[limit].most, 255 if name == "units" else 1
    if name == "beats":
        # Two streams, in the widest of units, are at most half of these beats.
        assert 2 * limits.STREAM * get("small").unit_beats < most
        monkeypatch.setattr(limits, "STREAM", most)
    model = SimpleNamespace(path="toy", hidden=64, head_dim=64, kv_heads=kv_heads, layers=range(126), tied=True)

    def memory(layer_units, rows=64):
        head = SimpleNamespace(format=WeightFormat.S8, rows=rows, groups=2)
        return MemoryMap(CONFIG, model, limits.POSITIONS if name == "units" else 32, 4, [layer_units], head)

    at, beyond = memory(1), memory(1)
    if name == "head":
        at.head_units, beyond.head_units = most, most + 1
    elif name == "cache":
        at.kv_head_units, beyond.kv_head_units = most, most + 1
    else:
        units = {"stream": most, "units": most - memory(0).end,
                 "beats": most // CONFIG.unit_beats - memory(0).weight_units}[name]
        assert 0 < units <= limits.STREAM
        at, beyond = memory(units), memory(units + 1)
    _check_memory(CONFIG, model, at)
    with pytest.raises(UserError) as caught:
        _check_memory(CONFIG, model, beyond)
    assert re.fullmatch(rf"toy: \d+ {MEMORY[name]}, the machine takes {most}", str(caught.value))


def test_compile_checks_memory(monkeypatch):
    """A whole compilation, with a limit that a toy reaches."""
    units = sum(compile_model(MODEL, get("small"), 32).report["layer_units"])
    monkeypatch.setattr(limits, "STREAM", units)
    compile_model(MODEL, get("small"), 32)
    monkeypatch.setattr(limits, "STREAM", units - 1)
    assert refusal(MODEL, get("small")).endswith(f": {units} units of weights in the layers, the machine takes {units - 1}")


# What no instruction can say

FIELDS = {
    "rows": [(MatMul, "rows"), (Embed, "row")],
    "groups": [(MatMul, "groups"), (Embed, "groups")],
    "heads": [(Append, "heads"), (Attend, "heads")],
    "queries": [(Attend, "queries")],
    "cache": [(Append, "stride"), (Attend, "stride")],
    "repetitions": [(Vector, "outer"), (Quant, "outer")],
    "inner": [(Vector, "inner"), (Quant, "inner")],
    "column": [(MatMul, "stride")],
    "layers": [(Loop, "count")],
    "load": [(Load, "size")],
    "stream": [(Stream, "size")],
}


@pytest.mark.parametrize("name", FIELDS)
def test_field(name):
    most = limits.LIMITS[name].most
    for cls, field in FIELDS[name]:
        assert getattr(decode(cls(**{field: most}).encode()), field) == most
        with pytest.raises(ValueError, match=rf"^{cls.op.name}.{field} must fit in \d+ bits, not {most + 1}$"):
            cls(**{field: most + 1})


# What a program must not say

UNITS = limits.LIMITS["units"].most
# Of limits that are less than what fields can say: an instruction with so many, the most, and the
# rule that one more breaks.
RULES = {
    "positions": (lambda n: Attend(heads=1, queries=1, length=n, sums=64), limits.POSITIONS, "positions"),
    "groups": (lambda n: MatMul(rows=1, groups=2, act=n - 2), CONFIG.act_groups, "buffer"),
    "groups of QUANT": (lambda n: Quant(outer=1, inner=64, act=n - 2), CONFIG.act_groups, "buffer"),
    "groups of 8 bits": (lambda n: MatMul(format=WeightFormat.S8, rows=1, groups=n), 518, "sum"),
    "load": (lambda n: Load(size=n), CONFIG.vector_words // 16, "vector"),
    "column": (lambda n: MatMul(rows=2, groups=1, dst=n - limits.COLUMN - 2, stride=limits.COLUMN, column=1),
               CONFIG.vector_words, "vector"),
    "units": (lambda n: Stream(addr=n - 1, size=1), UNITS, "memory"),
    "units of LOAD": (lambda n: Load(addr=n - 2, size=2), UNITS, "memory"),
    "units of APPEND": (lambda n: Append(heads=2, addr=n - 1000 - CONFIG.kv_block_units, stride=1000), UNITS,
                        "memory"),
    "units of ATTEND": (lambda n: Attend(heads=2, queries=1, addr=n - 1000 - 2 * CONFIG.kv_block_units,
                                         stride=1000, length=33, sums=128), UNITS, "memory"),
}


def broken(insn):
    """The rule that an instruction breaks where APPEND may write all DRAM, and no other any; or None."""
    first = 0 if isinstance(insn, Append) else UNITS
    try:
        check(insn, Bounds(CONFIG, UNITS, first, UNITS), columns=2)
    except Broken as error:
        return error.args[0]
    return None


@pytest.mark.parametrize("name", RULES)
def test_rule(name):
    insn, most, rule = RULES[name]
    assert broken(insn(most)) is None
    assert broken(insn(most + 1)) == rule


def test_groups_of_8_bits():
    """The accumulators' bits, and no more, is what the rule asks for."""
    assert [sum_bits(WeightFormat.S8, n, 0, WINDOW) for n in (518, 519)] == [ACC_BITS, ACC_BITS + 1]


def refused(insns, program_words=CONFIG.program_words):
    """The rule that the text of a program breaks, or None."""
    try:
        decoded(tuple(insn.encode() for insn in insns), program_words)
    except IllegalProgram as error:
        return error.rule
    return None


def test_loops():
    def nested(depth):
        return [*(Loop(length=2 * (depth - n) - 1, count=1) for n in range(depth)),
                *depth * [Scalar(rd=1)], Halt()]

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


def test_load():
    """No program needs more at once: gains are two vectors."""
    assert 2 * limits.INNER // 16 < limits.LIMITS["load"].most
    assert CONFIG.vector_words // 16 < limits.LIMITS["load"].most
