"""Programs cut short, to look at a model layer by layer through nothing but its logits."""

from dataclasses import replace

from host.image.image import Image
from rtl.spec.config import UNIT_BYTES
from rtl.spec.isa import Loop, Stream, decode


__all__ = ["first_layers"]


def first_layers(image: Image, count) -> Image:
    """A copy of an image that runs its first `count` layers, then the final norm and the head.

    Two instructions of :mod:`mapper.schedule`'s change: the loop over the layers, and the stream of
    all their weights.
    """
    layers, program = image.model["layers"], [decode(word) for word in image.instructions]
    if count not in range(1, layers + 1):
        raise ValueError(f"Layers must be from 1 to {layers}, not {count}")
    # The loops over columns, and the one for the head, have a source instead of a count.
    loop = next(n for n, insn in enumerate(program) if isinstance(insn, Loop) and insn.count == layers)
    stream = max(n for n, insn in enumerate(program[:loop]) if isinstance(insn, Stream))
    # Layers of sparse matrices differ in size.
    changes = {loop: {"count": count}, stream: {"size": sum(image.report["layer_units"][:count])}}
    memory = image.memory.copy()
    words = memory[image.program * UNIT_BYTES:][:32 * image.length].reshape(-1, 32)
    for n, fields in changes.items():
        words[n] = list(replace(program[n], **fields).encode().to_bytes(32, "little"))
    return replace(image, memory=memory)
