"""What each elementwise function of the vector unit does, and how steps run on numpy."""

import numpy as np

from rtl.spec.isa import Func

from .. import numerics


__all__ = ["FUNCTIONS", "GATES", "evaluate", "gate_function"]


# Of operands a, b, c.
FUNCTIONS = {
    Func.MADD: numerics.madd,
    Func.NMADD: numerics.nmadd,
    Func.CLAMP: lambda a, b, c: numerics.clamp(a, b),
    Func.SCALE: lambda a, b, c: numerics.scale(a, c),
    Func.NSCALE: lambda a, b, c: numerics.scale(a, c, -1),
    Func.RECIP: lambda a, b, c: numerics.recip_seed(a),
    Func.RSQRT: lambda a, b, c: numerics.rsqrt_seed(a),
    Func.NSCALE1: lambda a, b, c: numerics.nscale1(a, c),
    Func.REST: numerics.rest,
}

GATES = {}  # Functions of gates, of float32 arrays and without the machine's rounding, by name.


def gate_function(function):
    """Register the function that a gate's sequence, of this name and ``_gate``, stands for."""
    GATES[function.__name__] = function
    return function


def evaluate(steps, **values):
    """Run `steps` on numpy arrays; returns all named values."""
    values = {name: np.asarray(value, np.float32) for name, value in values.items()}
    for func, result, *operands in steps:
        values[result] = FUNCTIONS[func](
            *(
                values[o]
                if isinstance(o, str)
                else None
                if o is None
                else np.array([o], np.float32)
                for o in operands
            )
        )
    return values
