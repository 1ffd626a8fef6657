"""Observe a program's effects: append instructions that write the vector memory to DRAM."""

from rtl.spec.isa import Append, Dest, Quant, Sync, Unit


__all__ = ["dump", "dump_units", "free_counters"]


HEADS = 128  # of one QUANT: what its field for words has room for


def free_counters(insns):
    """Token counters that a program does not use."""
    used = {
        counter for insn in insns if isinstance(insn, Sync) for counter in (insn.take, insn.give)
    }
    return [counter for counter in range(1, 16) if counter not in used]


def dump_units(config):
    """Units of DRAM that :func:`dump` writes."""
    return config.vector_words // config.head_dim * config.kv_block_units


def dump(config, insns, first):
    """Instructions that write all of the vector memory to DRAM, from unit `first` on.

    They go between `insns` and their HALT. A number is seen to eight bits of its group's largest.
    """
    out = []
    for unit, counter in zip((Unit.LOAD, Unit.LINEAR, Unit.ATTENTION), free_counters(insns)):
        out += [Sync(unit=unit, give=counter), Sync(unit=Unit.VECTOR, take=counter)]
    block, heads = config.kv_block_units, config.vector_words // config.head_dim
    for head in range(0, heads, HEADS):
        count = min(HEADS, heads - head)
        out += [
            Quant(dest=Dest.KV, outer=1, inner=count * config.head_dim, a=head * config.head_dim),
            Append(heads=count, addr=first + head * block, stride=block),
        ]
    return out
