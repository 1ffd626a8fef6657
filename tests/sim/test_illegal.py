"""Programs with a mistake do no harm, and what is accepted is the same on both machines."""

from dataclasses import replace
from random import Random

import pytest

from host.device import DeviceError
from rtl.config import UNIT_BYTES, get
from rtl.isa import Halt, Loop, Sync, Unit, decode
from sim.programs.__main__ import main, programs
from sim.programs.compare import Difference, Pair, Refused
from sim.programs.generator import Program, generate
from sim.programs.illegal import ROUNDS, Illegal, Mutant
from sim.programs.world import World


CONFIG = get("small")
COUNTS = {"small": 60, "wide": 16}
HANGS = Program((Sync(unit=Unit.VECTOR, take=1), Halt()), [0], 0, False)


def mutant(program):
    return Mutant(tuple(program.words), "", program.tokens, program.position, program.head)


@pytest.mark.seconds(20)
@pytest.mark.parametrize("name", COUNTS)
def test_no_harm(name):
    with Pair(get(name)) as pair, Illegal(pair) as illegal:
        for n, world, program in programs(get(name), 2, COUNTS[name]):
            wrong = Mutant.of(program, f"{name} {n}")
            try:
                illegal.run(world, program, wrong)
            except Difference as difference:
                raise AssertionError(f"program {n} of {name}, {wrong.what}: {difference}") from difference
    assert illegal.rules.total() == COUNTS[name] and illegal.rules[None] >= COUNTS[name] // 6
    assert illegal.ends.total() == COUNTS[name] - illegal.rules[None]
    assert len(illegal.rules) >= 4 and len(illegal.ends) >= 2


@pytest.fixture(scope="module")
def tried():
    """A world, a legal program, and what tries mutants of it."""
    world = World(CONFIG, Random(5))
    with Pair(CONFIG) as pair, Illegal(pair) as illegal:
        yield world, generate(world, Random(7)), illegal


def test_hang(tried):
    """A program that waits for ever is ended by the watchdog, and found if it is not."""
    world, good, illegal = tried
    illegal.run(world, good, mutant(HANGS))
    assert illegal.ends["WATCHDOG"] == 1
    illegal.sim.watchdog = 1 << 31
    try:
        with pytest.raises(Difference, match="^the accelerator has not ended after 400000 cycles, and without "):
            illegal.run(world, good, mutant(HANGS))
    finally:
        illegal.sim.watchdog = 20_000


def test_long_loop(tried):
    """A loop may take days: then the host stops it."""
    world, good, illegal = tried
    body = [Sync(unit=Unit.VECTOR, give=1), Sync(unit=Unit.VECTOR, take=1)]
    long = Program((Loop(length=2, count=(1 << 20) - 1), *body, Halt()), [0], 0, False)
    before = illegal.ends["stopped"]
    illegal.run(world, good, mutant(long))
    assert illegal.ends["stopped"] == before + 1
    assert decode(mutant(long).short.words[0]) == Loop(length=2, count=ROUNDS)
    assert replace(mutant(long).short, words=()) == replace(mutant(long), words=())


@pytest.mark.parametrize("call, change, said", [
    (1, lambda sim, first, end: first - 1, "^the accelerator writes outside of what it may, in unit "),
    (1, lambda sim, first, end: 0, "^the accelerator writes outside of what it may, in unit 0$"),
    (2, lambda sim, first, end: first, "^a good program computes something else after it$"),
    (2, lambda sim, first, end: end - 1, "^a good program computes something else after it$"),
])
def test_byte_is_found(tried, monkeypatch, call, change, said):
    """A byte that the accelerator writes in the refused program, or in the good one after it."""
    world, good, illegal = tried
    calls, step, area = [], illegal.sim.step, [UNIT_BYTES * unit for unit in world.image([]).writable]

    def wrong(*args):
        calls.append(args)
        try:
            return step(*args)
        finally:
            if len(calls) == call:
                illegal.sim.memory[change(illegal.sim, *area)] ^= 1

    monkeypatch.setattr(illegal.sim, "step", wrong)
    with pytest.raises(Difference, match=said):
        illegal.run(world, good, mutant(HANGS))
    assert len(calls) == call


def test_good_program_that_stops(tried, monkeypatch):
    """What a reset leaves behind is found: here, a bad opcode in place of the good program."""
    world, good, illegal = tried
    monkeypatch.setattr(illegal.sim, "set", lambda name, *_: None if name == "LENGTH" else sets(name, *_))
    sets = type(illegal.sim).set.__get__(illegal.sim)
    with pytest.raises(Difference, match="^a good program stops after it: DeviceFault"):
        # It is longer than the mutant, and HALT is where its first instruction is.
        illegal.run(world, replace(good, insns=good.insns), mutant(HANGS))


def test_refused_without_a_rule(tried, monkeypatch):
    world, good, illegal = tried

    def compare(*_):
        try:
            raise Refused("no") from DeviceError("model: no")
        except Refused as refused:
            raise refused

    monkeypatch.setattr(illegal.pair, "compare", compare)
    with pytest.raises(Difference, match="^refused without the name of a rule: no$"):
        illegal.run(world, good, mutant(HANGS))


def test_accepted_is_compared(tried, monkeypatch):
    world, good, illegal = tried

    def compare(*_):
        raise Difference("differs")

    monkeypatch.setattr(illegal.pair, "compare", compare)
    with pytest.raises(Difference, match="^differs$"):
        illegal.run(world, good, mutant(good))


def test_command(capsys, monkeypatch):
    assert main(["-n", "8", "--illegal"]) == 0
    said = capsys.readouterr().out
    assert " accepted, " in said and "ends of what was refused: " in said and said.endswith("\n8 passed, 0 failed\n")

    def wrong(*_):
        raise Difference("wrong")

    monkeypatch.setattr(Illegal, "run", wrong)
    assert main(["-n", "3", "--illegal"]) == 1
    said = capsys.readouterr().out
    assert "program 2, " in said and ": wrong\n" in said and said.endswith("\n0 passed, 3 failed\n")
