"""Report: sizes of an image, and estimated cycles of each operation of a decode step."""

from rtl.config import UNIT_BYTES
from rtl.formats import stream_units


__all__ = ["estimate"]


def estimate(config, model, memory, vector, plan, head, program, errors):
    """`errors` has each matrix's relative RMS error against the file's own scales, per layer.

    Returns sizes in bytes and cycles at one weight beat per cycle, as a JSON-ready dictionary.

    Cycles are a bound: they leave out what vector work and DRAM timing add.
    """
    def beats(matrix):
        return stream_units(matrix.format, matrix.rows, matrix.groups,
                            config.beat_bytes) * config.unit_beats

    operations = [{"operation": m.name, "format": m.format.name, "rows": m.rows,
                   "depth": m.groups * 32, "times": len(model.layers), "cycles": beats(m) * len(model.layers),
                   "bytes": beats(m) * config.beat_bytes * len(model.layers)} for m in plan]
    operations.append({"operation": "head", "format": head.format.name, "rows": head.rows,
                       "depth": head.groups * 32, "times": 1, "cycles": beats(head),
                       "bytes": beats(head) * config.beat_bytes})
    return {
        "configuration": config.name,
        "program_instructions": len(program.insns),
        "program_bytes": len(program.insns) * 32,
        "weight_bytes": (memory.layers_units + memory.head_units) * UNIT_BYTES,
        "kv_cache_bytes": (memory.end - memory.image_units) * UNIT_BYTES,
        "memory_bytes": memory.end * UNIT_BYTES,
        "vector_words": vector.words,
        "estimated_cycles_per_token": sum(o["cycles"] for o in operations),
        "scale_error": {name: {"mean": sum(e) / len(e), "max": max(e)} for name, e in errors.items()},
        "operations": operations,
    }
