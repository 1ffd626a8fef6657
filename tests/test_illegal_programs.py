"""Programs with one mistake: refused by the name of the rule that they break, or the same on the
accelerator and on the functional model. And whatever the accelerator is given to run, it neither
hangs nor writes where it may not.
"""

import re
from collections import Counter
from dataclasses import replace
from functools import cache
from random import Random
from types import SimpleNamespace

import numpy as np
import pytest

from host.device import DeviceError, DeviceFault
from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import FaultCode
from rtl.spec.descriptor import described
from rtl.spec.isa import Dest, Halt, Load, MatMul, Quant, Stream, Sync, Unit, WeightFormat, decode
from rtl.spec.limits import STREAMS_AHEAD
from rtl.spec.rules import RULES
from rtl.spec.sparse_modes import Mode
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice
from sim.programs.mistakes import mutant
from sw_ref.legal import IllegalProgram
from sw_ref.machine import Machine
from sw_ref.verify import corners, verify

from .devices import CONFIGS, same_memory, same_step, toy_image
from .observed import observed
from .test_faults import with_program


# Mutants tried of each program, and those kept of them: so many accepted, and by each rule refused.
TRIED = {"small": 210, "wide": 90, "odd": 140}
ACCEPTED = {"small": 24, "wide": 10, "odd": 14}
OF_A_RULE = 3
WATCHDOG = 20_000
LIMIT = 400_000  # cycles of a step, of which none takes more than 60,000
REFUSAL = re.compile(
    r"model: (Instruction \d+( \([^\n]+\))?|Program) breaks the rule `(\w+)`: "
    r"expected [^\n]+, found [^\n]+"
)


def step_of(name, rng):
    """Tokens, position and head of a step."""
    columns = rng.choice((1, CONFIGS[name].columns))
    tokens = [rng.randrange(toy_image(name).vocab) for _ in range(columns)]
    return tokens, rng.choice((0, 31, 32)), rng.random() < 0.7


def refusal(name, image, step):
    """The rule by which the functional model refuses an image, or a step; None if it does not."""
    model = ModelDevice(CONFIGS[name])
    try:
        model.load(image)
        model.step(*step)
    except DeviceError as error:
        assert isinstance(error.__cause__, IllegalProgram)
        rule = REFUSAL.fullmatch(str(error))[3]
        assert rule == error.__cause__.rule and rule in RULES
        return rule
    return None


@cache
def drawn(name):
    """Mutants of a toy model's program: half of them accepted, the others refused by many rules."""
    config, mutants, rules = CONFIGS[name], [], Counter()
    insns = [decode(word) for word in toy_image(name).instructions]
    image, before, after = observed(toy_image(name), config, insns)
    for seed in range(TRIED[name]):
        words, what = mutant(insns, f"{name} {seed}")
        step = step_of(name, Random(f"{name} {seed}"))
        changed = with_program(image, [*before, *words[:-1], *after, words[-1]])
        rule = refusal(name, changed, step)
        if rules[rule] < (ACCEPTED[name] if rule is None else OF_A_RULE):
            rules[rule] += 1
            mutants.append(SimpleNamespace(image=changed, what=what, step=step, rule=rule))
    return mutants


class Endless(KeyboardInterrupt):
    """As if someone pressed Ctrl-C."""


def stop(cycles):
    if cycles > LIMIT:
        raise Endless


@pytest.mark.seconds(20)
@pytest.mark.parametrize("name", CONFIGS)
def test_refused_or_the_same(name):
    """What the functional model accepts, the accelerator computes: the same logits, and DRAM."""
    rules = Counter(each.rule for each in drawn(name))
    assert rules[None] == ACCEPTED[name]
    assert rules.total() - rules[None] >= 30 and len(rules) - 1 >= 12
    with SimDevice(CONFIGS[name], watchdog=WATCHDOG, progress=stop) as sim:
        for each in drawn(name):
            if each.rule is not None:
                continue
            model = ModelDevice(CONFIGS[name])
            for device in sim, model:
                device.load(each.image)
            try:
                same_step(sim, model, *each.step)
                same_memory(sim, model)
            except (AssertionError, DeviceError, Endless) as error:
                raise AssertionError(f"{each.what}, {each.step}: {error!r}") from error


@pytest.mark.seconds(20)
@pytest.mark.parametrize("name", CONFIGS)
def test_harmless(name):
    """Run what is refused: it ends, and the accelerator writes nowhere but to the KV cache."""
    ends = Counter()
    with SimDevice(CONFIGS[name], watchdog=WATCHDOG, progress=stop) as sim:
        for each in drawn(name):
            if each.rule is None:
                continue
            sim.load(each.image)
            try:
                sim.step(*each.step)
                ends["done"] += 1
            except DeviceFault as fault:
                ends[fault.code] += 1
            except Endless:
                ends["stopped"] += 1
            first, end = (unit * UNIT_BYTES for unit in each.image.writable)
            before, after = each.image.dram(), sim.memory
            for outside in slice(first), slice(end, None):
                assert (before[outside] == after[outside]).all(), each.what
    assert ends["done"] and ends[FaultCode.WATCHDOG] and ends.total() > 20
    # A loop may well go on for days, and be making progress.
    assert ends["stopped"] <= 2


def found(check, *args, **kwargs):
    """Rule and place for which a program is refused; None if it is not."""
    try:
        check(*args, **kwargs)
    except IllegalProgram as error:
        return error.rule, error.where
    return None


@pytest.mark.seconds(1)
def test_verify_finds_the_same():
    """`headrace verify`, which skips what repeats itself, and the functional machine."""
    config, image = CONFIGS["small"], toy_image("small")
    insns, rules = [decode(word) for word in image.instructions], Counter()
    for seed in range(40):
        program = tuple(mutant(insns, f"verify {seed}")[0])
        got = found(
            verify,
            config,
            image.memory,
            image.memory_units,
            image.writable,
            program,
            image.context,
            image.vocab,
        )
        machine, want = Machine(config, image.dram(), writable=image.writable), None
        for tokens, position, head in corners(config, image.context, image.vocab):
            want = want or found(machine.run, program, tokens=tokens, position=position, head=head)
        assert got == want, seed
        rules[got and got[0]] += 1
    assert rules[None] >= 10 and len(rules) > 8


# Programs that mutants do not reach, on the smallest accelerator.
WEIGHTS, ROWS, GROUPS = 200, 128, 12
QUANTIZED = [
    Load(addr=0, size=32),
    Sync(unit=Unit.LOAD, give=1),
    Sync(unit=Unit.VECTOR, take=1),
    Quant(dest=Dest.ACT, outer=1, inner=32 * GROUPS),
    Sync(unit=Unit.VECTOR, give=2),
    Sync(unit=Unit.LINEAR, take=2),
]
_zeros = np.zeros((ROWS, GROUPS), np.uint8)
PACKED = described(
    WeightFormat.U4,
    np.zeros((ROWS, 32 * GROUPS), np.uint8),
    _zeros,
    _zeros.view(np.int8),
    np.ones(ROWS, np.float32),
    0,
    CONFIGS["small"].beat_bytes,
)
UNITS = len(PACKED) // UNIT_BYTES
STREAM = Stream(addr=WEIGHTS, size=UNITS)
MATMUL = MatMul(rows=ROWS, groups=GROUPS, dst=1024)


def ahead(count):
    """So many STREAMs before their matrices, more than the prefetch buffer holds."""
    return built([*QUANTIZED, *[STREAM] * count, *[MATMUL] * count, Halt()])


HEADER = 2 * UNIT_BYTES  # behind the descriptor, and four beats of row scales
INDEX = HEADER + 16


def sparse(damage):
    """A sparse matrix whose bytes are changed: {place: value}."""
    codes = np.zeros((16, 32 * GROUPS), np.int8)
    codes[:, 3:5] = 7
    parts = WeightFormat.SPARSE4, codes, None, None, np.ones(16, np.float32)
    packed = bytearray(described(*parts, 0, 16))
    # The header, and the first two indices.
    assert packed[HEADER] == 8 | Mode.N2 and packed[INDEX] == 0x43
    for place, value in damage.items():
        packed[place] = value
    matrix = Stream(addr=WEIGHTS, size=len(packed) // UNIT_BYTES)
    product = MatMul(rows=16, groups=GROUPS)
    insns = [*QUANTIZED, matrix, replace(product, best=1), matrix, product, Halt()]
    return built(insns, packed)


def built(insns, packed=PACKED):
    """The toy's image with another program, and with a matrix in place of its own weights."""
    image = toy_image("small")
    memory = image.memory.copy()
    memory[WEIGHTS * UNIT_BYTES :][: len(packed)] = np.frombuffer(packed, np.uint8)
    return with_program(replace(image, memory=memory), insns)


STEP = [1], 0, True
SAME = {
    "streams": lambda: ahead(STREAMS_AHEAD),
    "sparse": lambda: sparse({}),
    "slots": lambda: sparse({INDEX: 0x34}),
}
REFUSED = {
    # More than the queue, the unit and the memory reader hold.
    "streams": ("stream", lambda: ahead(STREAMS_AHEAD + 4)),
    "ninth": ("stream", lambda: ahead(STREAMS_AHEAD + 1)),
    # STREAM would give it once the second is accepted: after a matrix that comes after the token.
    "token": (
        "tokens",
        lambda: built(
            [
                *QUANTIZED,
                *[STREAM] * 8,
                Sync(unit=Unit.STREAM, give=3),
                Sync(unit=Unit.LINEAR, take=3),
                *[MATMUL] * 8,
                Halt(),
            ]
        ),
    ),
    "after": ("weights", lambda: sparse({HEADER + 1: Mode.N2})),
    "twice": ("weights", lambda: sparse({INDEX: 0x33})),
    "last": ("weights", lambda: sparse({HEADER: 8})),
}


@pytest.mark.seconds(5)
@pytest.mark.parametrize("name", SAME)
def test_same(name):
    image, model = SAME[name](), ModelDevice(CONFIGS["small"])
    with SimDevice(CONFIGS["small"], watchdog=WATCHDOG, progress=stop) as sim:
        for device in sim, model:
            device.load(image)
        same_step(sim, model, *STEP)


@pytest.mark.parametrize("name", REFUSED)
def test_refused(name):
    rule, image = REFUSED[name]
    assert refusal("small", image(), STEP) == rule


@pytest.mark.seconds(5)
@pytest.mark.parametrize("name", ["streams", "token", "last"])
def test_what_is_refused_would_hang(name):
    with SimDevice(CONFIGS["small"], watchdog=WATCHDOG, progress=stop) as sim:
        sim.load(REFUSED[name][1]())
        with pytest.raises(DeviceFault, match="WATCHDOG"):
            sim.step(*STEP)


def test_what_is_left_over_is_named_at_halt():
    model = ModelDevice(CONFIGS["small"])
    model.load(built([*QUANTIZED, STREAM, STREAM, MATMUL, Halt()]))
    message = rf"Instruction 9 \(halt\) breaks the rule `stream`: .* {UNITS} units"
    with pytest.raises(DeviceError, match=message):
        model.step(*STEP)
