"""The accelerator at the limits of programs, loops, tokens and addresses.

`tests/test_limits.py` says which test is whose, and has what is one beyond.
"""

import numpy as np
import pytest

from host.device import DeviceFault
from rtl.spec.csr import FaultCode
from rtl.spec.isa import (
    Append,
    Dest,
    Halt,
    Load,
    Loop,
    Quant,
    Scalar,
    Stream,
    Sync,
    Unit,
    Vector,
)
from rtl.spec.limits import (
    LAYERS,
    PROGRAM_WORDS,
    TOKENS_AHEAD,
)

from .extreme import (
    CONFIG,
    LOADED,
    ONE,
    Data,
    hand,
    image,
    loaded,
    pair,
    run,
    same,
)


LOAD, LINEAR, VECTOR = Unit.LOAD, Unit.LINEAR, Unit.VECTOR
ACTS, RESULT, ATTENDED = range(LOADED + 1, LOADED + 4)  # tokens
BLOCK = CONFIG.kv_block_units
MIDDLE = 1 << 17  # of the vector memory

pytestmark = pytest.mark.seconds(15)


@pytest.fixture(scope="module")
def devices():
    sim, model = pair()
    with sim:
        yield sim, model


def quantized(data, cache):
    """Instructions that make DRAM tell whether they were executed."""
    return [
        *loaded(data, np.random.default_rng(9).normal(size=64), 0),
        Quant(dest=Dest.KV, outer=1, inner=64, a=0),
        Append(heads=1, addr=cache, position_reg=1),
    ]


def test_loops(devices):
    """Four loops in each other, and one of as many rounds as its count can say."""
    data = Data()
    picked = data.put(np.random.default_rng(10).normal(size=(LAYERS + 4, 16)).astype("<f4"))
    insns = [
        *loaded(data, np.ones(64), 0),
        Loop(length=4 + 4, count=3),
        Loop(length=2 + 4, count=2),
        Loop(length=4, count=4),
        Loop(length=1, count=5),
        Vector(outer=1, inner=64, d=0, a=0, b_const=1, b_value=ONE, c_const=1, c_value=ONE),
        *4 * [Scalar(rd=2)],
        Sync(),  # so that the watchdog, and the rule `limit`, see that there is progress
        Loop(length=1, count=LAYERS),
        Scalar(rd=1, source=1, factor=1, offset=1),
        Load(addr=picked, addr_reg=1, size=4, dst=64),
        *hand(LOAD, VECTOR, LOADED),
    ]
    found = same(devices, insns, data, [(0, 128)], scratch=MIDDLE)
    assert found[0] == 1 + 3 * 2 * 4 * 5


def test_program(devices):
    """A program that fills its memory: a loop around all. It appends where its length says."""
    data = Data()
    cache = data.end
    data.put(np.zeros(BLOCK * 64, np.uint8))
    body = [*hand(VECTOR, LOAD, ATTENDED), *quantized(data, cache)]
    body = [*(PROGRAM_WORDS - 2 - len(body)) * [Scalar(rd=1, source=1, factor=1, offset=1)], *body]
    insns = [Loop(length=len(body), count=2), *body, Halt()]
    assert len(insns) == PROGRAM_WORDS
    run(devices, insns, data, writable=(cache, cache + BLOCK))
    assert devices[0].memory[cache * 64 :].any()


@pytest.mark.parametrize("taken", [TOKENS_AHEAD, TOKENS_AHEAD + 1])
def test_tokens(devices, taken):
    """A full counter gives all its tokens back, and no more."""
    sim, data = devices[0], Data()
    cache = data.end
    data.put(np.zeros(BLOCK * 64, np.uint8))
    insns = [
        *quantized(data, cache)[:3],
        Loop(length=1, count=TOKENS_AHEAD),
        Sync(unit=LOAD, give=9),
        # All are given before one is taken.
        *hand(LOAD, LINEAR, ACTS),
        *hand(LINEAR, VECTOR, RESULT),
        Loop(length=1, count=taken),
        Sync(unit=VECTOR, take=9),
        *quantized(data, cache)[3:],
        Halt(),
    ]
    writable = cache, cache + BLOCK
    if taken == TOKENS_AHEAD:
        run(devices, insns, data, writable=writable)
        assert sim.memory[cache * 64 :].any()
    else:
        waits(sim, image(insns, data, writable))


def waits(sim, program):
    """The machine waits until the watchdog stops it."""
    sim.load(program)
    sim.set("WATCHDOG", 10_000)
    with pytest.raises(DeviceFault) as caught:
        sim.step([1], 0, False)
    assert caught.value.code == FaultCode.WATCHDOG


TOP = (1 << 32) - 1  # the last address that there is
SIZE = (1 << 28) - 1  # and the largest size
# Instructions that read past the end of DRAM, or past the last address; the unit that is refused.
BEYOND = {
    "load": lambda end: (Load(addr=end - 1, size=2), end - 1),
    "load-top": lambda end: (Load(addr=TOP, size=1), TOP),
    "load-most": lambda end: (Load(addr=TOP, size=(1 << 16) - 1), TOP),
    "stream": lambda end: (Stream(addr=end - 1, size=2), end - 1),
    "stream-top": lambda end: (Stream(addr=TOP, size=1), TOP),
    "stream-most": lambda end: (Stream(addr=TOP, size=SIZE), TOP),
    "stream-wraps": lambda end: (Stream(addr=TOP - SIZE + 2, size=SIZE), TOP - SIZE + 2),
}


@pytest.mark.parametrize("value, position", [(0, 0), (1, 31)])
def test_append_does_not_wrap(devices, value, position):
    """Past the last address comes none: what may be written first, stays."""
    sim, data = devices[0], Data()
    data.put(np.zeros(BLOCK * 64, np.uint8))
    insns = [
        *quantized(data, TOP)[:-1],
        Append(value=value, heads=1, addr=TOP, position=position),
        Halt(),
    ]
    sim.load(image(insns, data, (0, BLOCK)))
    with pytest.raises(DeviceFault) as caught:
        sim.step([1], 0, False)
    assert (caught.value.code, caught.value.pc) == (FaultCode.ADDRESS, len(insns) - 2)
    assert not sim.memory[: BLOCK * 64].any()


@pytest.mark.parametrize("name", BEYOND)
def test_addresses(devices, name):
    """The last unit of DRAM can be read; what reaches beyond it is refused, without a wrap."""
    sim, data = devices[0], Data()
    good = [*loaded(data, np.ones(16), 0), Halt()]
    units = image(good, data).memory_units
    good = [Load(addr=units - 1, size=1), *good[1:]]
    run(devices, good, data)
    insn, refused = BEYOND[name](units)
    sim.load(image([*good[:-2], insn, Halt()], data))
    assert sim.image.memory_units == units
    with pytest.raises(DeviceFault) as caught:
        sim.step([1], 0, False)
    fault = caught.value
    assert (fault.code, fault.pc, fault.info) == (FaultCode.ADDRESS, 2, refused)
