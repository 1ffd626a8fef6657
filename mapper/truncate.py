"""Programs cut short, to look at a model layer by layer and node by node."""

from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from host.errors import UserError
from host.image.image import Image
from rtl.spec.config import UNIT_BYTES
from rtl.spec.isa import Halt, Loop, MatMul, Stream, decode
from sw_ref.weight_stream import WeightStream


__all__ = ["cuts", "first_layers", "first_part"]


INSTRUCTION_BYTES = 32


@dataclass(frozen=True)
class _Program:
    """A program of :mod:`mapper.schedule`'s, and where the loop over the layers and their stream
    are, and the loop that leaves the stream out of all rounds but the first, which ends with it."""

    insns: list[Any]  # of classes of Insn
    loop: int
    stream: int
    once: int

    @classmethod
    def of(cls, image, count):
        layers, insns = image.model["layers"], [decode(word) for word in image.instructions]
        if count not in range(1, layers + 1):
            raise ValueError(f"Layers must be from 1 to {layers}, not {count}")
        # The loops over columns, and the one for the head, have a source instead of a count.
        loop = next(
            (n for n, insn in enumerate(insns) if isinstance(insn, Loop) and insn.count == layers),
            None,
        )
        if loop is None:
            raise UserError(
                f"{image.model['name']}: layers must be all alike to be looked at one after the "
                "other, this model has several kinds; compare the answers of two devices instead"
            )
        stream = next(n for n in range(loop, len(insns)) if isinstance(insns[n], Stream))
        once = max(n for n in range(stream) if isinstance(insns[n], Loop))
        return cls(insns, loop, stream, once)

    @property
    def body(self):
        """Instructions of a layer."""
        loop = self.insns[self.loop]
        assert isinstance(loop, Loop)
        return self.insns[self.loop + 1 :][: loop.length]


def _encoded(insn):
    return list(insn.encode().to_bytes(INSTRUCTION_BYTES, "little"))


def first_layers(image: Image, count) -> Image:
    """A copy of an image that runs its first `count` layers, then the final norm and the head.

    Two instructions change: the loop over the layers, and the stream of all their weights.
    """
    program = _Program.of(image, count)
    # Layers of sparse matrices differ in size.
    changes = {
        program.loop: {"count": count},
        program.stream: {"size": sum(image.report["layer_units"][:count])},
    }
    memory = image.memory.copy()
    words = memory[image.program * UNIT_BYTES :][: INSTRUCTION_BYTES * image.length].reshape(
        -1, INSTRUCTION_BYTES
    )
    for n, fields in changes.items():
        words[n] = _encoded(replace(program.insns[n], **fields))
    return replace(image, memory=memory)


def cuts(image: Image) -> list[int]:
    """Where a layer can be cut: numbers of instructions of it, each up to the end of a product or
    of a loop over the columns."""
    program = _Program.of(image, 1)
    found, at, body = [], program.stream - program.loop, program.body
    while at < len(body):
        insn = body[at]
        at += 1 + (insn.length if isinstance(insn, Loop) else 0)
        if isinstance(insn, (Loop, MatMul)):
            found.append(at)
    return found


def first_part(image: Image, config, count, length) -> Image:
    """A copy of an image that runs `count` - 1 layers, then `length` instructions of the next, one
    of :func:`cuts`, and halts.

    `config` is the image's :class:`~rtl.spec.config.Config`. The program lies behind the KV cache.
    """
    program = _Program.of(image, count)
    units, part = image.report["layer_units"], program.body[:length]
    stream = program.insns[program.stream]
    assert isinstance(stream, Stream)
    size = sum(units[: count - 1])
    weights = WeightStream(config, image.memory)
    for insn in part:
        if isinstance(insn, MatMul):
            left = stream.size - size
            size += weights.units(insn, stream.addr + size, left)
    start, kept = program.loop + 1, [*range(program.loop)]
    if count > 1:
        kept += range(program.loop, start + len(program.body))
    kept += range(start, start + length)
    if not size:  # nothing is streamed
        kept = [n for n in kept if n not in range(program.once, program.stream + 1)]
    changes = {
        program.stream: replace(stream, size=max(size, 1)),
        program.loop: replace(program.insns[program.loop], count=max(count - 1, 1)),
    }
    insns = [changes.get(n, program.insns[n]) for n in kept] + [Halt()]
    names = [image.node(n) for n in kept] + ["end"]
    raw = np.array([_encoded(insn) for insn in insns], np.uint8).reshape(-1)
    memory = np.zeros((image.memory_units + -(-len(raw) // UNIT_BYTES)) * UNIT_BYTES, np.uint8)
    memory[: len(image.memory)] = image.memory
    memory[image.memory_units * UNIT_BYTES :][: len(raw)] = raw
    return replace(
        image,
        memory=memory,
        memory_units=len(memory) // UNIT_BYTES,
        length=len(insns),
        program=image.memory_units,
        nodes=[(name, n + 1) for n, name in enumerate(names)],
    )
