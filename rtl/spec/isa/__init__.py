"""Instruction set: the one definition shared by hardware, mapper, functional model, host and docs.

`instructions.py` declares each instruction, `enums.py` the values of fields that have names,
`encoding.py` what follows from a declaration: encoding, decoding, range checks, docs/isa.md.
"""

from . import instructions
from .encoding import INSTRUCTION_BYTES, REGISTERS, WORD_BITS, Insn, decode, markdown
from .enums import Dest, Func, Op, Source, Unit, WeightFormat
from .instructions import *  # noqa: F403, so that an instruction is named where it is declared


__all__ = [
    "WORD_BITS",
    "INSTRUCTION_BYTES",
    "REGISTERS",
    "Op",
    "Unit",
    "Func",
    "Dest",
    "Source",
    "WeightFormat",
    "Insn",
    "decode",
    "markdown",
]
__all__ += instructions.__all__
