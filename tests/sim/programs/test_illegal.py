"""Programs with a mistake do no harm, and what is accepted is the same on both machines."""

from random import Random

import numpy as np
import pytest

from headrace.cli import main
from host.device import DeviceError
from rtl.spec.config import UNIT_BYTES, get
from rtl.spec.isa import Halt, Load, Loop, Scalar, Sync, Unit
from sim.programs.compare import Difference, Pair, Refused
from sim.programs.generator import Program, generate
from sim.programs.illegal import Illegal, Mutant
from sim.programs.trials import programs
from sim.programs.world import World


CONFIG = get("small")
COUNTS = {"small": 60, "wide": 16}
SEED = 2  # of programs, and of what is changed in them
HANGS = Program((Sync(unit=Unit.VECTOR, take=1), Halt()), [0], 0, False)


def mutant(program):
    return Mutant(tuple(program.words), "", program.tokens, program.position, program.head)


@pytest.mark.seconds(20)
@pytest.mark.parametrize("name", COUNTS)
def test_no_harm(name):
    with Pair(get(name)) as pair, Illegal(pair) as illegal:
        for n, world, program in programs(get(name), SEED, COUNTS[name]):
            wrong = Mutant.any(world, program, f"{name} {n} {SEED}")
            try:
                illegal.run(world, program, wrong)
            except Difference as difference:
                raise AssertionError(
                    f"program {n} of {name}, {wrong.what}: {difference}"
                ) from difference
    assert (
        illegal.rules[None] + illegal.ends.total() == COUNTS[name]
        and illegal.rules[None] >= COUNTS[name] // 6
    )
    assert len(illegal.rules) >= 4 and len(illegal.ends) >= 2


@pytest.fixture(scope="module")
def tried():
    """A world, a legal program, and what tries mutants of it."""
    world = World(CONFIG, Random(5))
    with Pair(CONFIG) as pair, Illegal(pair) as illegal:
        yield world, generate(world, Random(7)), illegal


def test_shortest():
    """A program that is HALT alone has mistakes as well."""
    halt = Program((Halt(),), [0], 0, False)
    assert len({Mutant.of(halt, seed).words for seed in range(20)}) > 10


@pytest.mark.seconds(3)
def test_hang(tried, monkeypatch):
    """A program that waits for ever is ended by the watchdog, and found if it is not."""
    world, good, illegal = tried
    illegal.run(world, good, mutant(HANGS))
    assert illegal.ends["WATCHDOG"] == 1
    monkeypatch.setattr(illegal.sim, "watchdog", 1 << 31)
    monkeypatch.setattr("sim.programs.illegal.LIMIT", 120_000)
    with pytest.raises(
        Difference, match="^the accelerator has not ended after 120000 cycles, and does nothing$"
    ):
        illegal.run(world, good, mutant(HANGS))


@pytest.mark.seconds(3)
def test_long_loop(tried, monkeypatch):
    """A loop may take days: the host stops it, and a good program runs."""
    world, good, illegal = tried
    insns = [
        Loop(length=4, count=65535),
        Loop(length=2, count=65535),
        Load(size=1),
        Sync(unit=Unit.LOAD),
        Scalar(),
        Halt(),
    ]
    monkeypatch.setattr("sim.programs.illegal.LIMIT", 120_000)
    before = illegal.rules.total()
    illegal.run(world, good, mutant(Program(tuple(insns), [0], 0, False)))
    assert illegal.ends["went on"] == 1 and illegal.rules.total() == before


OUTSIDE = "^the accelerator writes outside of what it may, in unit "
OTHER = "^a good program computes something else after it$"


@pytest.mark.seconds(3)
@pytest.mark.parametrize(
    "call, place, said",
    [
        (1, lambda first, end: first - 1, OUTSIDE),
        (1, lambda first, end: end, OUTSIDE),
        (1, lambda first, end: 0, OUTSIDE + "0$"),
        (2, lambda first, end: first, OTHER),
        (2, lambda first, end: end - 1, OTHER),
        (2, lambda first, end: 0, OTHER),
    ],
)
def test_byte_is_found(tried, monkeypatch, call, place, said):
    """A byte that the accelerator writes in the refused program, or in the good one after it."""
    world, good, illegal = tried
    calls, step, area = (
        [],
        illegal.sim.step,
        [UNIT_BYTES * unit for unit in world.image([]).writable],
    )

    def wrong(*args):
        calls.append(args)
        try:
            return step(*args)
        finally:
            if len(calls) == call:
                illegal.sim.memory[place(*area)] ^= 1

    monkeypatch.setattr(illegal.sim, "step", wrong)
    with pytest.raises(Difference, match=said):
        illegal.run(world, good, mutant(HANGS))
    assert len(calls) == call


@pytest.mark.seconds(3)
def test_vector_memory_is_compared(tried, monkeypatch):
    """Of the good program: a word in its last bit."""
    world, good, illegal = tried
    vector = illegal.sim.vector

    def wrong():
        words = vector().copy()
        words.view(np.uint32)[77] ^= 1
        return words

    monkeypatch.setattr(illegal.sim, "vector", wrong)
    with pytest.raises(Difference, match=OTHER):
        illegal.run(world, good, mutant(HANGS))


@pytest.mark.seconds(3)
def test_good_program_that_stops(tried, monkeypatch):
    """What a reset leaves behind is found: here, the mutant's length."""
    world, good, illegal = tried
    sets, seen = illegal.sim.set, []

    def first_length(name, *args):
        if name != "LENGTH" or not seen:
            sets(name, *args)
        seen.extend(["LENGTH"] * (name == "LENGTH"))

    monkeypatch.setattr(illegal.sim, "set", first_length)
    with pytest.raises(Difference, match="^a good program stops after it: fault PROGRAM"):
        illegal.run(world, good, mutant(HANGS))
    assert len(seen) == 2


@pytest.mark.seconds(3)
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


@pytest.mark.seconds(3)
def test_accepted_is_compared(tried, monkeypatch):
    world, good, illegal = tried

    def compare(*_):
        raise Difference("differs")

    monkeypatch.setattr(illegal.pair, "compare", compare)
    with pytest.raises(Difference, match="^differs$"):
        illegal.run(world, good, mutant(good))


@pytest.mark.seconds(3)
def test_command(capsys, monkeypatch):
    assert main(["random", "-n", "8", "--illegal"]) == 0
    said = capsys.readouterr().out
    assert (
        " accepted, " in said
        and "ends of what was not accepted: " in said
        and said.endswith("\n8 passed, 0 failed\n")
    )

    def wrong(*_):
        raise Difference("wrong")

    monkeypatch.setattr(Illegal, "run", wrong)
    assert main(["random", "-n", "3", "--illegal"]) == 1
    said = capsys.readouterr().out
    assert "program 2, " in said and ": wrong\n" in said and said.endswith("\n0 passed, 3 failed\n")
