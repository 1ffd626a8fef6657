"""Programs that hide nothing."""

from dataclasses import replace

from rtl.spec.isa import Load, Sync, Unit
from sim.programs.observe import dump, dump_units, free_counters


__all__ = ["observed"]


def observed(image, config, insns):
    """A program that computes what another does, and leaves nothing in the accelerator alone.

    First, all of the vector memory is loaded: no operand is undefined. At the end, all of it is
    quantized and appended to DRAM, behind the KV cache.

    Returns the image with room for that, and the instructions that come before the others, and
    between them and their HALT.
    """
    before = [Load(addr=0, size=config.vector_words // 16)]
    for unit, counter in zip((Unit.LINEAR, Unit.VECTOR, Unit.ATTENTION), free_counters(insns)):
        before += [Sync(unit=Unit.LOAD, give=counter), Sync(unit=unit, take=counter)]
    after = dump(config, [*before, *insns], image.memory_units)
    room = image.memory_units + dump_units(config)
    return replace(image, memory_units=room, writable=(image.writable[0], room)), before, after
