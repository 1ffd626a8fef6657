"""Tensor types of GGUF files, and what of each the machine keeps.

==============================  =======================================================
type                            becomes
==============================  =======================================================
F32, F16, BF16                  S8, rounded
Q4_0, Q4_1, Q4_K                U4, the file's codes
Q5_0, Q5_1, Q5_K                U5, the file's codes
Q6_K                            S6, the file's codes
Q8_0                            S8, the file's codes
IQ4_NL, IQ4_XS                  IQ4, the file's codes
MXFP4, NVFP4                    FP4, FP4_16, the file's codes
TQ1_0, TQ2_0                    TERNARY where a row has one scale, else S8; exact
Q1_0                            U1, exact
Q2_K                            U2, the file's codes, where groups of 16 have the same
                                scale and minimum two by two; else S8, rounded
Q3_K                            U3, the file's codes, where groups of 16 have the same
                                scale two by two; else S6, the file's codes
==============================  =======================================================

Each type is a decoder in a file of this folder (:mod:`~.block_type` says what it must do), which
nothing else lists. `tests/mapper/read/test_gguf_types.py` finds it, and compares it with the
library `gguf`.
"""

from importlib import import_module
from pkgutil import iter_modules

from .block_type import TYPES, BlockType, Codes


__all__ = ["REFUSED", "TYPES", "BlockType", "Codes"]


# Types that no decoder is there for: `../gguf_container.py` refuses them by name.
REFUSED = {
    9: "Q8_1",
    15: "Q8_K",
    16: "IQ2_XXS",
    17: "IQ2_XS",
    18: "IQ3_XXS",
    19: "IQ1_S",
    21: "IQ3_S",
    22: "IQ2_S",
    24: "I8",
    25: "I16",
    26: "I32",
    27: "I64",
    28: "F64",
    29: "IQ1_M",
}

for _module in iter_modules(__path__):
    import_module(f"{__name__}.{_module.name}")
_ordered = sorted(TYPES.items())
TYPES.clear()
TYPES.update(_ordered)
