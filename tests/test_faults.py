"""Programs that do what they must not, on the real accelerator: an error, and not a hang.

They go wrong at position `BAD` alone, and at position 0 do what the toy model's does: so the
machine shows that it recovers, with nothing loaded in between.
"""

import signal
from dataclasses import replace

import numpy as np
import pytest

from host.device import DeviceError, DeviceFault
from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import FaultCode
from rtl.spec.descriptor import contradictions, fault_info
from rtl.spec.isa import (
    Append,
    Attend,
    Dest,
    Halt,
    Load,
    Loop,
    MatMul,
    Op,
    Quant,
    Scalar,
    Source,
    Stream,
    Sync,
    Unit,
)
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice

from .devices import CONFIGS, pair, same_memory, same_step, toy_image


BAD = 1
OUTSIDE = 1 << 24  # DRAM address beyond any toy's memory
WATCHDOG = 20_000
LIMIT = 1_000_000  # cycles of a step: far more than any takes

pytestmark = pytest.mark.seconds(3)


def with_program(image, insns):
    """The image with another program, which comes behind all else."""
    words = [insn if isinstance(insn, int) else insn.encode() for insn in insns]
    raw = np.frombuffer(b"".join(word.to_bytes(32, "little") for word in words), np.uint8)
    start, units = image.memory_units * UNIT_BYTES, -(-len(raw) // UNIT_BYTES)
    memory = np.zeros(start + units * UNIT_BYTES, np.uint8)
    memory[: len(image.memory)] = image.memory
    memory[start : start + len(raw)] = raw
    return replace(
        image,
        memory=memory,
        memory_units=image.memory_units + units,
        program=image.memory_units,
        length=len(words),
        nodes=[],
    )


def limited(cycles):
    assert cycles < LIMIT, f"still busy after {cycles} cycles"


def device(name):
    return SimDevice(CONFIGS[name], watchdog=WATCHDOG, progress=limited)


def same_token(sim, model):
    """Both give the same answer to a token."""
    same_step(sim, model, [3], 0, True)


def works(sim, model):
    """Both give the same answers, from position 0 on."""
    same_token(sim, model)
    same_step(sim, model, [4] * sim.config.columns, 0, True)


def goes_wrong(name, program, code, pc, info, text):
    with device(name) as sim:
        model = pair(name)[1]
        sim.load(with_program(toy_image(name), program))
        same_token(sim, model)
        for recovers in (works, same_token):
            with pytest.raises(DeviceFault) as caught:
                sim.step([1], BAD, True)
            fault = caught.value
            assert (fault.code, fault.pc, fault.instruction) == (code, pc, text)
            assert fault.info == info
            assert str(fault) == f"fault {code.name}, info {info:#x}, at instruction {pc}: {text}"
            recovers(sim, model)
        sim.load(toy_image(name))
        model.load(toy_image(name))
        works(sim, model)
        same_memory(sim, model)


def described_as(name):
    """Info of the fault when the start of a toy's program is taken for a descriptor."""
    raw = toy_image(name).memory[:UNIT_BYTES]
    return fault_info(raw, contradictions(raw, 32, 1, CONFIGS[name].weight_formats))


# What is done at position `BAD`; what comes of it, at which of these instructions.
BODIES = {
    "opcode": ([0xEE], FaultCode.OPCODE, 0, 0xEE, "0xee (238 is not a valid Op)"),
    "unit": (
        [Op.SYNC.value | 7 << 8],
        FaultCode.OPCODE,
        0,
        Op.SYNC.value,
        "0x708 (7 is not a valid Unit)",
    ),
    "load": (
        [Scalar(rd=1, offset=OUTSIDE), Load(addr=5, size=1, addr_reg=1), Halt()],
        FaultCode.ADDRESS,
        1,
        OUTSIDE + 5,
        "load addr=5 size=1 addr_reg=1",
    ),
    "stream": (
        [Stream(addr=OUTSIDE, size=4), Halt()],
        FaultCode.ADDRESS,
        0,
        OUTSIDE,
        f"stream addr={OUTSIDE} size=4",
    ),
    # The elements are written before the exponent.
    "append": (
        [Quant(dest=Dest.KV, outer=1, inner=64), Append(heads=1, addr=OUTSIDE), Halt()],
        FaultCode.ADDRESS,
        1,
        OUTSIDE + 1,
        f"append heads=1 addr={OUTSIDE}",
    ),
    # Weights lie there.
    "protect": (
        [Quant(dest=Dest.KV, outer=1, inner=64), Append(heads=1, addr=40), Halt()],
        FaultCode.ADDRESS,
        1,
        41,
        "append heads=1 addr=40",
    ),
    "attend": (
        [
            Quant(dest=Dest.QUERY, outer=1, inner=64),
            Attend(heads=1, queries=1, addr=OUTSIDE, length=1),
            Halt(),
        ],
        FaultCode.ADDRESS,
        1,
        OUTSIDE,
        f"attend heads=1 queries=1 addr={OUTSIDE} length=1",
    ),
    "deep": (
        [*(Loop(length=n, count=1) for n in (4, 3, 2, 1)), Halt()],
        FaultCode.LOOP,
        3,
        4,
        "loop length=1 count=1",
    ),
    "token": (
        [Sync(unit=Unit.VECTOR, take=9), Halt()],
        FaultCode.WATCHDOG,
        0,
        1,
        "sync unit=Unit.VECTOR take=9",
    ),
    # The toy's program lies there.
    "descriptor": (
        [
            Quant(dest=Dest.ACT, outer=1, inner=32),
            Stream(addr=0, size=20),
            MatMul(rows=32, groups=1),
            Halt(),
        ],
        FaultCode.DESCRIPTOR,
        2,
        described_as,
        "matmul rows=32 groups=1",
    ),
    "weights": (
        [Quant(dest=Dest.ACT, outer=1, inner=32), MatMul(rows=32, groups=1), Halt()],
        FaultCode.WATCHDOG,
        1,
        1 | 1 << Unit.LINEAR.value,
        "matmul rows=32 groups=1",
    ),
    "groups": (
        [Append(heads=1), Halt()],
        FaultCode.WATCHDOG,
        0,
        1 | 1 << Unit.ATTENTION.value,
        "append heads=1",
    ),
}


def with_body(name, body):
    insns = BODIES[body][0]
    return [
        Loop(length=len(insns), source=Source.POSITION.value),
        *insns,
        *toy_image(name).instructions,
    ]


@pytest.mark.parametrize("name", CONFIGS)
@pytest.mark.parametrize("body", BODIES)
def test_fault(name, body):
    _, code, pc, info, text = BODIES[body]
    info = info(name) if callable(info) else info
    goes_wrong(name, with_body(name, body), code, pc + 1, info, text)


# The rule that each body breaks. A HALT may not be there, so the model gets the bodies without
# theirs.
RULES = {
    "opcode": "opcode",
    "unit": "opcode",
    "load": "memory",
    "stream": "memory",
    "append": "memory",
    "protect": "area",
    "attend": "memory",
    "deep": "loop",
    "token": "token",
    "descriptor": "descriptor",
    "weights": "stream",
    "groups": "area",
}
# What bodies quantize, they must have written.
FILL = [Load(addr=0, size=8), Sync(unit=Unit.LOAD, give=15), Sync(unit=Unit.VECTOR, take=15)]


@pytest.mark.parametrize("body", BODIES)
def test_functional_model_refuses(body):
    """The functional model names the same instruction, and the rule."""
    model = ModelDevice(CONFIGS["small"])
    insns = FILL + [insn for insn in BODIES[body][0] if not isinstance(insn, Halt)]
    program = [
        Loop(length=len(insns), source=Source.POSITION.value),
        *insns,
        *toy_image("small").instructions,
    ]
    # Where loops nest too deep, they also end where the loop around them does.
    pc = 1 + len(FILL) + (0 if body == "deep" else BODIES[body][2])
    with pytest.raises(
        DeviceError, match=rf"nstruction {pc}\b.* breaks the rule `{RULES[body]}`: "
    ):
        model.load(with_program(toy_image("small"), program))
        model.step([1], 0, True)
        model.step([1], BAD, True)


@pytest.mark.parametrize("name", CONFIGS)
def test_past_the_end(name):
    insns = toy_image(name).instructions
    length = len(insns) + 2
    # All that follows is skipped at position 1: the count is 1 less the position.
    program = [
        Scalar(rd=1, source=Source.POSITION.value, factor=2**32 - 1),
        Loop(length=len(insns), count=1, source=1),
        *insns,
    ]
    goes_wrong(name, program, FaultCode.PROGRAM, length, length, "past the end of the program")


@pytest.mark.parametrize("name", CONFIGS)
def test_program_that_cannot_be_fetched(name):
    image, most = toy_image(name), CONFIGS[name].program_words
    with device(name) as sim:
        for broken, code, info in [
            (replace(image, length=most + 1), FaultCode.PROGRAM, most + 1),
            (replace(image, program=OUTSIDE), FaultCode.ADDRESS, OUTSIDE),
        ]:
            sim.load(broken)
            with pytest.raises(DeviceFault) as caught:
                sim.step([1], 0, True)
            assert (caught.value.code, caught.value.info) == (code, info)
        model = pair(name)[1]
        sim.load(image)
        works(sim, model)


def test_bus_error():
    """The host promises more memory than there is."""
    model = pair("small")[1]
    body = [Load(addr=OUTSIDE, size=1), Halt()]
    with device("small") as sim:
        sim.load(
            with_program(
                toy_image("small"),
                [
                    Loop(length=2, source=Source.POSITION.value),
                    *body,
                    *toy_image("small").instructions,
                ],
            )
        )
        sim.set("MEMORY", 2 * OUTSIDE)
        works(sim, model)
        with pytest.raises(
            DeviceFault,
            match=rf"^fault BUS, info 0x[23], at instruction 1: load "
            rf"addr={OUTSIDE} size=1$",
        ):
            sim.step([1], BAD, True)
        works(sim, model)


@pytest.mark.parametrize("name", CONFIGS)
def test_interrupt(name, monkeypatch):
    """Ctrl-C in the middle of a step: the next one is none the worse."""
    monkeypatch.setattr("sim.fpga.device.SLICE_SECONDS", 0)  # the fewest cycles between two looks
    sim, model = pair(name)
    with sim:
        works(sim, model)
        whole = sim.step([4], 0, True).cycles
        for at in range(0, whole - 2000, whole // 8):

            def interrupt(cycles, at=at):
                if cycles >= at:
                    raise KeyboardInterrupt

            sim.progress = interrupt
            with pytest.raises(KeyboardInterrupt):
                sim.step([9], 0, True)
            sim.progress = limited
            works(sim, model)
        same_memory(sim, model)


def test_interrupt_by_signal():
    sim, model = pair("wide")
    caught = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
    try:
        with sim, pytest.raises(KeyboardInterrupt):
            signal.setitimer(signal.ITIMER_REAL, 0.5)
            for _ in range(1000):
                sim.step([1], 0, True)
        sim.load(toy_image("wide"))
        works(sim, model)
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, caught)
