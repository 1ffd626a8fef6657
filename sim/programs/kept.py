"""Programs that failed, kept in files: with the step, and the DRAM that they read.

Files hold instructions as text: another encoding (`ISA_VERSION`) does not touch them.
"""

import base64
import json
import zlib
from ast import literal_eval
from dataclasses import dataclass, fields
from pathlib import Path

import numpy as np

from host import configurations
from rtl.spec.config import UNIT_BYTES, Config
from rtl.spec.isa import Attend, Insn, Load, Op, Stream
from sw_ref.checks import Bounds, kv_units
from sw_ref.sequencer import Sequencer

from .generator import Program
from .world import image


__all__ = ["Kept", "keep", "kept"]


@dataclass(frozen=True)
class Kept:
    """What a file holds: a program, and as much of its :class:`~.world.World` as it needs.

    Attributes
    ----------
    why : :class:`str`
        What it failed with, and where it comes from.
    memory : uint8 array
        DRAM.
    cache : (:class:`int`, :class:`int`)
        Units that may be written.
    start : :class:`int`
        Unit at which the program lies.
    """

    config: Config
    why: str
    program: Program
    memory: np.ndarray
    cache: tuple
    start: int

    def image(self, words):
        """As :meth:`.world.World.image`."""
        return image(self.config, self.memory, self.cache, self.start, words)


def _read(world, program):
    """Units of DRAM that a program reads."""
    config, units = world.config, set()
    sequencer = Sequencer(
        program.insns, Bounds(config, world.end, *world.cache), len(program.tokens)
    )
    for _, insn in sequencer.run(program.tokens, program.position, program.head):
        if isinstance(insn, (Load, Stream)):
            units.update(range(insn.addr, insn.addr + insn.size))
        elif isinstance(insn, Attend):
            for head in range(insn.heads):
                first = insn.addr + head * insn.stride
                units.update(range(first, first + kv_units(config, insn)))
    return units


def _runs(units):
    """Yield (first, end) of units that follow each other."""
    units = sorted(units)
    first = 0
    for n in range(1, len(units) + 1):
        if n == len(units) or units[n] != units[n - 1] + 1:
            yield units[first], units[n - 1] + 1
            first = n


def keep(path, world, program, why):
    """Write a program to a file.

    Parameters
    ----------
    path : path
    world : :class:`~.world.World`
    program : :class:`~.generator.Program`
    why : :class:`str`
        What it failed with, and where it comes from.
    """
    memory = [
        [
            first,
            base64.b64encode(
                zlib.compress(world.memory[first * UNIT_BYTES : end * UNIT_BYTES].tobytes(), 9)
            ).decode(),
        ]
        for first, end in _runs(_read(world, program))
    ]
    kept = {
        "why": why,
        "config": world.config.name,
        "tokens": program.tokens,
        "position": program.position,
        "head": program.head,
        "units": world.end,
        "cache": world.cache,
        "start": world.program,
        "insns": [str(insn) for insn in program.insns],
        "memory": memory,
    }
    path = Path(path)
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(json.dumps(kept, indent=1) + "\n")


def parsed(text):
    """The instruction that `str` gave this text. Raises :exc:`ValueError` or :exc:`KeyError`."""
    name, *given = text.split()
    cls, values = Insn.by_op[Op[name.upper()]], {}
    shapes = {f.name: f.metadata["shape"] for f in fields(cls)}
    for part in given:
        field, _, value = part.partition("=")
        shape = shapes[field]
        values[field] = (
            literal_eval(value) if isinstance(shape, int) else shape[value.partition(".")[2]]
        )
    return cls(**values)


def kept(path):
    """Read a :class:`Kept` program. Raises :exc:`OSError`, :exc:`ValueError`, :exc:`KeyError`, or
    :exc:`UserError` for a configuration that there is no more."""
    raw = json.loads(Path(path).read_text())
    memory = np.zeros(raw["units"] * UNIT_BYTES, np.uint8)
    for first, text in raw["memory"]:
        part = np.frombuffer(zlib.decompress(base64.b64decode(text)), np.uint8)
        memory[first * UNIT_BYTES :][: len(part)] = part
    program = Program(tuple(map(parsed, raw["insns"])), raw["tokens"], raw["position"], raw["head"])
    config = configurations.read(raw["config"])
    return Kept(config, raw["why"], program, memory, tuple(raw["cache"]), raw["start"])
