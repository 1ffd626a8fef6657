"""A machine with the most of everything, and how its programs show what they computed."""

import numpy as np

from host.image.image import Image
from rtl.spec.config import KV_BLOCK, UNIT_BYTES, Config
from rtl.spec.isa import Append, Dest, Func, Halt, Load, Quant, Sync, Unit, Vector
from sim.fpga.device import SimDevice
from sim.functional import ModelDevice
from sw_ref.machine import Machine

from .devices import same_memory, same_step


__all__ = ["CONFIG", "LOADED", "Data", "compare", "hand", "image", "loaded", "pair", "run", "same"]


CONFIG = Config(
    name="limits",
    beat_bits=128,
    columns=2,
    lanes=4,
    queries=15,
    vector_words=1 << 18,
    act_groups=1024,
    program_words=4096,
    prefetch_beats=64,
    formats=("U4", "S8"),
)
WATCHDOG = 4_000_000
ONE = 0x3F800000
SCRATCH = 1024  # words that are compared at once
LOADED = 1  # the token of `loaded`
GIVE, TAKE = 14, 15  # tokens that programs here leave to `compare`


class Data:
    """Lays arrays out in DRAM, one behind the other.

    Attributes
    ----------
    end : :class:`int`
        Units so far.
    """

    def __init__(self):
        self.parts, self.end = [], 0

    def put(self, values):
        """Add the bytes of an array, padded to whole units. Returns the unit where they start."""
        start, raw = self.end, np.ascontiguousarray(values).view(np.uint8).reshape(-1)
        self.parts += [raw, np.zeros(-len(raw) % UNIT_BYTES, np.uint8)]
        self.end += -(-len(raw) // UNIT_BYTES)
        return start

    def bytes(self):
        """All of them."""
        return np.concatenate([np.zeros(0, np.uint8), *self.parts])


def hand(giver, taker, token):
    """`taker` waits for all that `giver` was told before."""
    return [Sync(unit=giver, give=token), Sync(unit=taker, take=token)]


def image(insns, data, writable=(0, 0)):
    """An image of a program, a list of instructions, and of the data that it needs."""
    memory, program = Data(), data.end
    memory.put(data.bytes())
    words = b"".join(insn.encode().to_bytes(32, "little") for insn in insns)
    memory.put(np.frombuffer(words, np.uint8))
    return Image(
        memory=memory.bytes(),
        memory_units=memory.end,
        writable=writable,
        program=program,
        length=len(insns),
        digest=CONFIG.digest,
        config=CONFIG.name,
        formats=[],
        patterns=[],
        context=1,
        vocab=1 << 20,
        weight_bytes=0,
        model={"logit_cap": 0.0},
        tokenizer={},
        report={},
    )


def pair():
    """Both devices."""
    return SimDevice(CONFIG, watchdog=WATCHDOG), ModelDevice(CONFIG)


def run(devices, insns, data, *, writable=(0, 0), tokens=(1,), position=0, head=False):
    """Run a program on both devices, and compare what they answer, and DRAM."""
    sim, model = devices
    for device in devices:
        device.load(image(insns, data, writable))
    same_step(sim, model, list(tokens), position, head)
    same_memory(sim, model)


def same(devices, insns, data, shown, *, scratch, writable=None, position=0, tokens=(1,)):
    """Run a program on both devices, and compare areas of the vector memory bit by bit.

    The functional machine says what they have. A machine subtracts that, and what is left, zeros or
    not, goes to DRAM. Only zeros of different signs count as the same.

    Parameters
    ----------
    insns : list of :class:`~rtl.spec.isa.Insn`
        The program without HALT. At its end VECTOR must know of all results.
    shown : list of (:class:`int`, :class:`int`)
        Areas: addresses and numbers of words, multiples of 64.
    scratch : :class:`int`
        Address of `SCRATCH` words of the vector memory that may be overwritten.
    writable : (:class:`int`, :class:`int`) or None
        What the program writes of the data. None: nothing.

    Returns the vector memory that the functional machine had at the program's end.
    """
    writable = writable or (data.end, data.end)
    assert writable[1] == data.end, "what may be written comes last"
    parts = [
        (start + at, min(SCRATCH, words - at))
        for start, words in shown
        for at in range(0, words, SCRATCH)
    ]
    # A head's block has room for the keys and the values of so many parts.
    blocks = np.zeros((SCRATCH // CONFIG.head_dim, CONFIG.kv_block_units, UNIT_BYTES), np.uint8)
    areas = [data.put(blocks) for _ in parts[:: 2 * KV_BLOCK]]
    writable = writable[0], data.end
    first = image([*insns, Halt()], data, writable)
    machine = Machine(CONFIG, first.dram(), writable=writable)
    machine.run(first.instructions, tokens=tokens, position=position, head=False)
    program = list(insns)
    for n, (start, words) in enumerate(parts):
        expected = data.put(machine.vector[start : start + words])
        program += compare(start, words, expected, scratch, areas[n // (2 * KV_BLOCK)], n)
    run(devices, [*program, Halt()], data, writable=writable, tokens=tokens, position=position)
    return machine.vector


def compare(start, words, expected, scratch, area, n):
    """Append what is left of an area when the expected words are subtracted, as keys or values."""
    return [
        *hand(Unit.VECTOR, Unit.LOAD, GIVE),
        Load(addr=expected, size=words // 16, dst=scratch),
        *hand(Unit.LOAD, Unit.VECTOR, TAKE),
        Vector(
            func=Func.NMADD,
            outer=1,
            inner=words,
            d=scratch,
            a=start,
            b_const=1,
            b_value=ONE,
            c=scratch,
        ),
        Quant(dest=Dest.KV, outer=1, inner=words, a=scratch),
        Append(
            value=n // KV_BLOCK % 2,
            heads=words // CONFIG.head_dim,
            addr=area,
            stride=CONFIG.kv_block_units,
            position=n,
        ),
    ]


def loaded(data, values, dst):
    """Load values to the vector memory, for VECTOR."""
    units = -(-len(values) // 16)
    return [
        Load(addr=data.put(values.astype("<f4")), size=units, dst=dst),
        *hand(Unit.LOAD, Unit.VECTOR, LOADED),
    ]
