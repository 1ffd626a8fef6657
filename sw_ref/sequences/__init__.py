"""Sequences of vector operations: exp, reciprocal, reciprocal square root and what is made of them.

Each is a formula in a file of this folder. Tracing it gives its steps, which are data: the mapper
turns a step into one Vector instruction, :func:`evaluate` into one numpy call. Both machines do the
same because both read the same list. To add one, add a file: `tests/sw_ref/test_sequences.py` finds
it.
"""

from importlib import import_module
from pkgutil import iter_modules

from .functions import FUNCTIONS, GATES, evaluate
from .trace import SEQUENCES, Sequence, inputs, sequence


__all__ = [
    "FUNCTIONS",
    "GATES",
    "SEQUENCES",
    "Sequence",
    "RECIPROCAL",
    "RSQRT",
    "SILU_GATE",
    "centred",
    "evaluate",
    "gate",
    "inputs",
    "norm_scale",
    "sequence",
]


for _module in iter_modules(__path__):
    import_module(f".{_module.name}", __name__)

# Those without parameters, traced.
RECIPROCAL, RSQRT, SILU_GATE = (SEQUENCES[name]() for name in ("reciprocal", "rsqrt", "silu_gate"))
norm_scale, centred = SEQUENCES["norm_scale"], SEQUENCES["centred"]


def gate(function):
    """Steps of a gate, ``silu_gate`` for ``silu``: the last one writes function(g) * up to g.

    `g` and `up` are multiplied by `s` first, in steps that alone read it: a caller without a factor
    leaves them out. Raises :exc:`ValueError` for a function that has no such sequence.
    """
    try:
        return SEQUENCES[f"{function}_gate"]()
    except KeyError:
        known = ", ".join(sorted(name[:-5] for name in SEQUENCES if name.endswith("_gate")))
        raise ValueError(f"Gate must be one of {known}, not {function!r}") from None
