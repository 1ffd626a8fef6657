"""Rules of a legal program: everything that the hardware relies on, and does not check itself.

A rule has a name, by which the functional machine, `headrace verify` and tests refuse what breaks
it. On a legal program the hardware and the functional machine agree in every bit.
"""

from .limits import LOOP_DEPTH, POSITIONS, STREAMS_AHEAD, TOKENS_AHEAD
from .numbers import KV_BLOCK, UNIT_WORDS


__all__ = ["RULES", "LIMIT", "ALONE", "REPEATED", "markdown"]


LIMIT = 1 << 24  # Instructions, the sequencer's own included, of one run.
# The watchdog does not count two things as progress: sequencer instructions (at most 11 cycles
# each) and lines within one VECTOR instruction. Each run of them must end within
# :data:`~.csr.WATCHDOG_CYCLES`.
ALONE = 1 << 16
REPEATED = 1 << 20

# What can be seen in the program's words, what each instruction needs once registers are added to
# its fields, and what instructions need of each other.
STRUCTURE = {
    "opcode": "Every word is an instruction: its opcode and its enumerated fields have values that "
    "exist.",
    "reserved": "Bits that no field has are zero.",
    "length": "A program has at least one instruction, and at most `program_words`.",
    "halt": "HALT is the last instruction, outside of every loop, and the only HALT.",
    "loop": "A loop's body has at least one instruction. It ends within the body around it, and "
    f"before that one's last instruction; at most {LOOP_DEPTH} loops nest.",
    "source": "A source is a register, or a `Source` that exists.",
    "tokens": "A counter has one unit that gives to it and one other that takes from it. STREAM "
    "has no part in this: when it is done depends on matrices to come.",
}
INSTRUCTION = {
    "column": "A column is one that the host uses in this run.",
    "size": "Counts are at least one: `size`, `rows`, `groups`, `outer`, `inner`, `heads`, "
    "`queries`, `length`. `queries` is at most the configuration's, `outer` times `inner` "
    f"{REPEATED:,}.",
    "positions": f"ATTEND's `length` is at most {POSITIONS:,}, since its sums have no more bits.",
    "ring": "With a window, ATTEND's `stride` is a multiple of a block's units, and so is "
    "`newest` less `addr`, which is less than `stride`; and `stride` has blocks for the smaller "
    f"of `length` and `window` + {KV_BLOCK - 1} positions.",
    "cap": "ATTEND has `cap` only where the configuration has a `score_cap`.",
    "align": f"LOAD's `dst` is a multiple of {UNIT_WORDS}. VECTOR's addresses, strides and "
    "`inner`, QUANT's `a` and `stride`, ATTEND's `dst` and `sums` are multiples of the lanes; "
    "QUANT's `inner` is one of its destination's group. Operands that are not read do not matter.",
    "vector": "Addresses stay within the vector memory.",
    "buffer": "Groups stay within the activation buffer.",
    "memory": "Addresses stay within the DRAM that the image declares.",
    "area": "LOAD and STREAM read nothing that may be written, and APPEND writes nothing else. So "
    "no program changes its own code or weights.",
    "overlap": "VECTOR's result is in place, line for line with an operand, and each repetition in "
    "lines of its own; or it shares no line with the operand. DOT's never does. "
    "MATMUL's columns do not overlap, nor do ATTEND's numerators and denominators.",
}
ORDER = {
    "stream": "A matrix lies within one STREAM, which comes before it, and matrices take all that "
    f"is streamed, in order. At most {STREAMS_AHEAD} STREAMs have weights that no matrix "
    "before the last of them takes.",
    "descriptor": "A matrix begins with its descriptor, whose `rows` and `groups` are MATMUL's, "
    "and whose reserved bits are zero.",
    "format": "The configuration takes the format that the descriptor names, and that of EMBED, "
    "which is one of nibbles or bytes.",
    "weights": "A sparse matrix has blocks of the modes that the configuration takes, and in each "
    "stripe a last one, which is no block of zeros, and none in the header after it. A "
    "row has an element once, not counting slots with the code 0.",
    "groups": "The groups of a QUANT to QUERY or KV are taken by the ATTENDs or APPENDs that "
    "follow, before any other instruction of a unit.",
    "activations": "The groups of a MATMUL, in each of its columns, are all those of the last "
    "QUANT to ACT in that column.",
    "token": "A token is given, in program order, before it is taken, and at most "
    f"{TOKENS_AHEAD:,} wait in a counter at any time.",
    "race": "Two units touch the same words of the vector memory or of the activation buffer, one "
    "of them to write, only if tokens, or groups on their way to attention, put one before "
    "the other.",
    "undefined": "What an instruction reads of the vector memory was written in this run.",
    "limit": f"A run executes at most {LIMIT:,} instructions, and between two of units at most "
    f"{ALONE:,} of the sequencer.",
}
RULES = {**STRUCTURE, **INSTRUCTION, **ORDER}


def markdown():
    """Yield the lines that `docs/isa.md` has of the rules."""
    for title, rules in (
        ("In the program", STRUCTURE),
        ("In an instruction", INSTRUCTION),
        ("Between instructions", ORDER),
    ):
        yield f"### {title}"
        yield ""
        yield "| Rule | |"
        yield "|--|--|"
        for name, text in rules.items():
            yield f"| `{name}` | {text} |"
        yield ""
