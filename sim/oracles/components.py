"""Assign oracles to components.

Each file in `FOLDERS` is in exactly one of three lists: `COMPUTES`, `PARTS` and `MOVES`.
`tests/sim/oracles/test_components.py` fails for one that is in none; :mod:`sim.harness.runner`
fails a bench that has not asked the oracles that are listed here for it. Linear cores list
themselves: they are found where they are registered.
"""

from rtl.cores import CORES

from .. import tools


__all__ = [
    "FOLDERS",
    "COMPUTES",
    "PARTS",
    "MOVES",
    "core_bench",
    "files",
    "unlisted",
    "needed",
    "unasked",
]


FOLDERS = ("rtl/fp", "rtl/cores", "rtl/linear", "rtl/vector", "rtl/attention", "rtl/memory")


def core_bench(name):
    """The bench that answers for a linear core: one of its name, or else that of all cores."""
    own = tools.ROOT / "sim" / "benches" / "cores" / f"{name}.py"
    return name if own.exists() else "core"


# What computes, and has a bench: the bench, and the oracles that it must ask, as `module.NAME`.
COMPUTES = {
    "rtl/fp/add.py": ("fp_add", ["fp.ADD"]),
    "rtl/fp/mul.py": ("fp_mul", ["fp.MULTIPLY"]),
    "rtl/fp/from_int.py": ("from_int", ["fp.FROM_INT"]),
    **{f"rtl/cores/{name}.py": (core_bench(name), ["linear.PRODUCTS"]) for name in CORES},
    "rtl/cores/tabled.py": ("lut", ["linear.PRODUCTS"]),
    "rtl/cores/dsp.py": ("dsp_cell", ["linear.PRODUCTS"]),
    "rtl/linear/activations.py": ("activations", ["linear.ALIGNMENT", "linear.PRODUCTS"]),
    "rtl/linear/fifths.py": ("fifths", ["linear.PRODUCTS"]),
    "rtl/linear/group_scale.py": ("group_scale", ["linear.GROUP_SUMS"]),
    "rtl/linear/row_scale.py": ("row_scale", ["linear.ROW_SCALE"]),
    "rtl/linear/embed.py": ("embed", ["linear.WEIGHTS"]),
    "rtl/linear/best.py": ("best", ["linear.BEST_LOGITS"]),
    "rtl/linear/pipeline.py": ("linear_front", ["linear.WEIGHTS", "linear.EXACT_SUMS"]),
    "rtl/linear/unit.py": (
        "linear_unit",
        ["linear.WEIGHTS", "linear.LINEAR", "linear.EMBEDDING", "linear.BEST_LOGITS"],
    ),
    "rtl/vector/quantizer.py": ("quantizer", ["vector.QUANTIZE"]),
    "rtl/vector/reduce.py": ("reduce", ["vector.DOT"]),
    "rtl/vector/unit.py": (
        "vector_unit",
        [
            "vector.ELEMENTWISE",
            "vector.DOT",
            "vector.QUANTIZE",
            "vector.RECIPROCALS",
            "vector.RMS_NORM",
            "vector.SILU",
            "vector.ROTARY",
        ],
    ),
    "rtl/attention/scores.py": ("scores", ["attention.SCORES"]),
    "rtl/attention/cap.py": ("cap", ["attention.CAPPED"]),
    "rtl/attention/softmax.py": ("softmax", ["attention.WEIGHTS"]),
    "rtl/attention/accumulate.py": ("accumulate", ["attention.ACCUMULATE"]),
    "rtl/attention/unit.py": ("attention", ["attention.ATTEND"]),
    "rtl/memory/load.py": ("load", ["fp.LOAD"]),
    "rtl/top.py": ("top", ["program.RUN"]),
}

# What computes as a part of another component, whose bench sees what it does.
PARTS = {
    "rtl/fp/format.py": "rtl/fp/add.py",
    "rtl/cores/carried.py": "rtl/cores/lut.py",
    "rtl/cores/parts_tree.py": "rtl/cores/dspchain.py",
    "rtl/cores/reduction.py": "rtl/cores/dspchain.py",
    "rtl/cores/tables.py": "rtl/linear/activations.py",
    "rtl/vector/datapath.py": "rtl/vector/unit.py",
    "rtl/vector/lane.py": "rtl/vector/unit.py",
    "rtl/vector/quantizer_lane.py": "rtl/vector/quantizer.py",
    "rtl/attention/fold.py": "rtl/attention/accumulate.py",
    "rtl/attention/output.py": "rtl/attention/unit.py",
    "rtl/attention/products.py": "rtl/attention/unit.py",
}

# What only moves data, or says where it goes; and why there is nothing to compute.
MOVES = {
    "rtl/cores/among.py": "compares formats",
    "rtl/cores/core.py": "contract of the cores, and how they take steps",
    "rtl/cores/output.py": "queue behind a pipeline",
    "rtl/cores/slots.py": "brings weights to the multipliers of their elements",
    "rtl/linear/block.py": "order of a block's steps",
    "rtl/linear/combine.py": "collects words in lines",
    "rtl/linear/descriptor.py": "compares a descriptor with a command",
    "rtl/linear/expand.py": "recodes weights, which its bench tells from the matrix",
    "rtl/linear/gather.py": "collects beats in words",
    "rtl/linear/nibbles.py": "decodes weights: seen by the bench of `unpack`",
    "rtl/linear/part_trits.py": "decodes weights: seen by the bench of `linear_front`",
    "rtl/linear/parts.py": "cuts steps: seen by the bench of `linear_front`",
    "rtl/linear/slices.py": "names the rows of a tile",
    "rtl/linear/stripe.py": "order of a stripe's blocks",
    "rtl/linear/trits.py": "decodes weights: seen by the bench of `unpack`",
    "rtl/linear/unpack.py": "decodes weights, which its bench tells from the matrix",
    "rtl/vector/memory.py": "memory",
    "rtl/vector/walk.py": "addresses of an operand",
    "rtl/vector/interlock.py": "when an instruction may begin and read",
    "rtl/attention/append.py": "writes keys and values as they come",
    "rtl/attention/blocks.py": "addresses of blocks",
    "rtl/attention/intake.py": "names the beats of the cache",
    "rtl/attention/queries.py": "memory of queries",
    "rtl/attention/reorder.py": "memory of beats",
    "rtl/attention/sequence.py": "order of the cache's blocks",
    "rtl/attention/window.py": "address of a window's first block",
    "rtl/attention/tag.py": "layout",
    "rtl/memory/bursts.py": "cuts requests of clients into bursts",
    "rtl/memory/reader.py": "reads DRAM",
    "rtl/memory/splitter.py": "cuts requests into bursts",
    "rtl/memory/stream.py": "requests weights",
    "rtl/memory/writer.py": "writes DRAM",
}


def files():
    """Files of components, relative to the checkout."""
    return sorted(
        str(path.relative_to(tools.ROOT))
        for folder in FOLDERS
        for path in (tools.ROOT / folder).glob("*.py")
        if path.stem != "__init__"
    )


def unlisted(paths):
    """Those of `paths` that none of the lists has."""
    return [path for path in paths if path not in {**COMPUTES, **PARTS, **MOVES}]


def needed(unit):
    """Oracles that the bench of that name must ask."""
    return {name for bench, names in COMPUTES.values() if bench == unit for name in names}


def unasked(unit, record):
    """Oracles that the bench must ask and has not. `record` is the file in which they are noted."""
    asked = record.read_text().split() if record.exists() else []
    return sorted(needed(unit) - set(asked))
