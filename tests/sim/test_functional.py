import signal
from dataclasses import replace

import numpy as np
import pytest

from host.device import DeviceError
from mapper.compile import compile_model
from rtl.spec.config import get
from rtl.spec.isa import Halt, Load, Loop, Scalar, decode
from sim.functional import ModelDevice
from sim.models.toy import toy_model


CONFIG = get("wide")


@pytest.fixture(scope="module")
def image():
    return compile_model(toy_model(), CONFIG, context=32)


def patched(image, pc, word):
    """The image with another instruction word."""
    memory = image.memory.copy()
    at = image.program * 64 + 32 * pc
    memory[at : at + 32] = list(word.to_bytes(32, "little"))
    return replace(image, memory=memory)


def test_logits_of_all_columns(image):
    device = ModelDevice(CONFIG)
    device.load(image)
    single = []
    for position, token in enumerate((5, 80, 3)):
        step = device.step([token], position, True)
        single.append(device.logits[0].copy())
    assert step.cycles is None and len(step.ids) == 64
    np.testing.assert_array_equal(step.logits, single[-1][step.ids])
    assert (np.diff(step.logits) <= 0).all()
    device.load(image)
    assert not len(device.step([5, 80], 0, False).ids)
    device.step([5, 80, 3], 0, True)
    np.testing.assert_array_equal(device.logits, single)


def test_other_digest(image):
    with pytest.raises(DeviceError, match="^model: configuration 'small' has digest "):
        ModelDevice(get("small")).load(image)


def test_nothing_loaded(image):
    device = ModelDevice(CONFIG)
    with pytest.raises(DeviceError, match="^model: load an image first$"):
        device.step([1], 0, True)
    device.load(image)
    device.close()
    device.close()
    with pytest.raises(DeviceError, match="^model: load an image first$"):
        device.step([1], 0, True)


def test_invalid_opcode(image):
    with pytest.raises(
        DeviceError,
        match=r"^model: Instruction 3 breaks the rule `opcode`: expected "
        r"an opcode that exists, found 0xee$",
    ):
        ModelDevice(CONFIG).load(patched(image, 3, 0xEE))


def test_invalid_address(image):
    pc = next(n for n, word in enumerate(image.instructions) if isinstance(decode(word), Load))
    insn = replace(decode(image.instructions[pc]), addr=image.memory_units)
    device = ModelDevice(CONFIG)
    device.load(patched(image, pc, insn.encode()))
    with pytest.raises(
        DeviceError, match=rf"^model: Instruction {pc} \(load addr=.*\) breaks the rule `memory`: "
    ):
        device.step([1], 0, True)
    device.load(image)
    device.step([1], 0, True)


def test_interrupt_between_instructions(image):
    device, seen = ModelDevice(CONFIG), []
    device.load(image)
    execute = device.machine._execute

    def interrupted(insn):
        seen.append(insn)
        if len(seen) == 5:
            signal.raise_signal(signal.SIGINT)
        execute(insn)

    device.machine._execute = interrupted
    handler = signal.getsignal(signal.SIGINT)
    with pytest.raises(KeyboardInterrupt):
        device.step([1], 0, True)
    assert len(seen) == 5 and signal.getsignal(signal.SIGINT) is handler
    del device.machine._execute
    device.step([1], 0, True)


def test_interrupt_of_a_loop_that_dispatches_nothing(image, monkeypatch):
    """Ctrl-C reaches it, and the limit would end it."""
    for limit in ("LIMIT", "ALONE"):
        monkeypatch.setattr(f"sw_ref.sequencer.{limit}", 1 << 40)
    program = [*(Loop(length=7 - 2 * n, count=65535) for n in range(3)), *[Scalar()] * 5, Halt()]
    for pc, insn in enumerate(program):
        image = patched(image, pc, insn.encode())
    device = ModelDevice(CONFIG)
    device.load(replace(image, length=len(program)))
    with pytest.raises(KeyboardInterrupt):
        signal.setitimer(signal.ITIMER_REAL, 0.3)
        before = signal.signal(signal.SIGALRM, lambda *_: signal.raise_signal(signal.SIGINT))
        try:
            device.step([1], 0, True)
        finally:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, before)


def test_instruction_limit(image, monkeypatch):
    monkeypatch.setattr("sw_ref.sequencer.LIMIT", 1000)
    device = ModelDevice(CONFIG)
    device.load(image)
    with pytest.raises(
        DeviceError, match="rule `limit`: expected at most 1000 instructions in a run"
    ):
        device.step([1, 2, 3, 4], 0, True)
