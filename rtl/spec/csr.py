"""Control and status registers: the one definition shared by hardware, host and docs.

32-bit registers behind an AXI4-Lite port, at byte addresses.
"""

import enum
from dataclasses import dataclass


__all__ = [
    "REGISTER_ADDRESS_BITS",
    "IDENTITY",
    "TOKENS",
    "BEST",
    "WATCHDOG_CYCLES",
    "FaultCode",
    "Register",
    "REGISTERS",
    "EVENT_COUNTERS",
    "COUNTER_PLACES",
    "Counter",
    "COUNTERS",
    "markdown",
    "counters_markdown",
]


REGISTER_ADDRESS_BITS = 12  # of a byte
IDENTITY = 0x44_41_45_48  # "HEAD", little endian
TOKENS = 16  # columns that there is a token register for
BEST = 64  # logits that the search keeps
COUNTER_PLACES = 32  # words of COUNTER
WATCHDOG_CYCLES = 1_000_000  # without progress that hosts allow, unless told otherwise


class FaultCode(enum.IntEnum):
    """What stopped the machine; STATUS.fault is set and FAULT_PC names the instruction."""

    NONE = 0
    OPCODE = 1  # info: the opcode
    ADDRESS = 2  # info: DRAM address, in units, beyond the host's memory or not to be written
    BUS = 3  # info: AXI response
    WATCHDOG = 4  # info: bit per unit that is busy, see rtl.spec.isa.Unit; pc: last dispatched
    PROGRAM = 5  # program counter ran past the program's end; info: program length
    LOOP = 6  # loops nested too deep
    DESCRIPTOR = 7  # info: bits 4:0 its format, from bit 8 on rtl.spec.descriptor.Contradiction


@dataclass(frozen=True)
class Register:
    """One register, or `count` of them, 4 bytes apart.

    One with an `event` counts, since the start, cycles in which that wire of
    :class:`~rtl.control.control.Control` is 1. The host has its value in
    :class:`~host.device.Step`.
    """

    name: str
    address: int
    access: str  # "r", "w" or "rw"
    doc: str
    count: int = 1
    event: str = ""


# fmt: off
REGISTERS = {r.name: r for r in [
    Register("IDENTITY",      0x000, "r",  "0x44414548."),
    Register("DIGEST",        0x004, "r",  "First 32 bits of the configuration's digest."),
    Register("FORMATS",       0x008, "r",  "Bit per weight format that the hardware takes, at the number of its WeightFormat."),
    Register("CONTROL",       0x010, "w",  "Bit 0: start. Bit 1: reset all units; clears fault and done."),
    Register("STATUS",        0x014, "r",  "Bit 0: busy. Bit 1: done. Bit 2: fault."),
    Register("PROGRAM",       0x018, "rw", "DRAM address of the program, in units of 64 bytes."),
    Register("LENGTH",        0x01c, "rw", "Instructions in the program."),
    Register("MEMORY",        0x020, "rw", "Units of DRAM that may be addressed."),
    Register("WATCHDOG",      0x024, "rw", "Cycles without a finished instruction or memory beat before a fault; 0 is never."),
    Register("WRITE_FIRST",   0x028, "rw", "First unit of DRAM that may be written."),
    Register("WRITE_END",     0x02c, "rw", "First unit behind those that may be written; 0 protects all of DRAM."),
    Register("POSITION",      0x030, "rw", "Position of the first column."),
    Register("COLUMNS",       0x034, "rw", "Columns in use."),
    Register("HEAD",          0x038, "rw", "1 when logits are wanted."),
    Register("FAULT_CODE",    0x040, "r",  "Why the machine stopped: FaultCode."),
    Register("FAULT_PC",      0x044, "r",  "Index of the instruction that faulted."),
    Register("FAULT_INFO",    0x048, "r",  "Depends on the code."),
    Register("CYCLES",        0x050, "r",  "Cycles since the start, low and high word.", 2),
    Register("WEIGHT_BEATS",  0x058, "r",  "Beats of the weight stream since the start.", event="weight_beat"),
    Register("STARVED",       0x05c, "r",  "Cycles since the start in which the linear unit waited for weights.", event="starved"),
    Register("COUNTERS",      0x060, "r",  "Counters that the machine has, of those below; 0 if it was built without."),
    Register("TOKEN",         0x080, "rw", "Token of each column.", TOKENS),
    Register("BEST",          0x200, "r",  "Best logits, best first: fp32 bits, then id, of each.", 2 * BEST),
    Register("COUNTER",       0x400, "r",  "Counters since the start, see below. 0 where there is none.", COUNTER_PLACES),
]}
# fmt: on
EVENT_COUNTERS = {r.name: r.event for r in REGISTERS.values() if r.event}


@dataclass(frozen=True)
class Counter:
    """A counter of machines whose configuration has `counters`: of 32 bits, cleared by a start, at
    its place of `COUNTERS` in the register COUNTER.

    Of each unit, `busy` counts the cycles in which it has work: it executes an instruction, or its
    queue waits for a token. It is *starved* in those in which it waits for input, and otherwise
    *blocked* in those in which it has output that nobody takes, or waits for a token, which
    `token` counts apart. In the rest it works: busy = working + starved + blocked. A kind that a
    unit does not have, it is never in.
    """

    name: str
    doc: str


# fmt: off
DECLARED = [
    Counter("sequencer_busy",    "Cycles from the sequencer's start until all units are idle."),
    Counter("sequencer_blocked", "A unit's queue has no room for the next instruction."),
    Counter("load_busy",         "LOAD copies, or its queue waits for a token."),
    Counter("load_starved",      "It waits for beats from memory."),
    Counter("load_blocked",      "The memory reader or the vector memory's write port is taken, or a token is missing."),
    Counter("load_token",        "Its queue waits for a token."),
    Counter("stream_busy",       "STREAM has a request, or its queue waits for a token."),
    Counter("stream_blocked",    "The memory reader has yet to accept the request, or a token is missing."),
    Counter("stream_token",      "Its queue waits for a token."),
    Counter("linear_busy",       "LINEAR has a product or an embedding, or its queue waits for a token."),
    Counter("linear_starved",    "It could take a beat of weights, and there is none."),
    Counter("linear_blocked",    "The vector memory's write port is taken, or a token is missing."),
    Counter("linear_token",      "Its queue waits for a token."),
    Counter("vector_busy",       "VECTOR has an instruction, or its queue waits for a token."),
    Counter("vector_blocked",    "LINEAR or ATTENTION does not take quantized values yet, or a token is missing."),
    Counter("vector_token",      "Its queue waits for a token."),
    Counter("attention_busy",    "ATTENTION appends or attends, or its queue waits for a token."),
    Counter("attention_starved", "It could take KV beats, queries or lines to append, and there are none."),
    Counter("attention_blocked", "The reader, the writer or the vector memory's write port is taken, or a token is missing."),
    Counter("attention_token",   "Its queue waits for a token."),
    Counter("weight_beats",      "Beats of weights that LINEAR took."),
    Counter("kv_beats",          "Beats of the KV cache that ATTENTION took."),
    Counter("load_beats",        "Beats that LOAD took."),
    Counter("fetch_beats",       "Beats of the program."),
    Counter("write_beats",       "Beats written to memory."),
]
# fmt: on
COUNTERS = {c.name: n for n, c in enumerate(DECLARED)}  # places, by name


def counters_markdown():
    """Yield the lines of `docs/registers.md` on counters."""
    yield "| Word | Address | Counter | Counts |"
    yield "|--|--|--|--|"
    for n, c in enumerate(DECLARED):
        yield f"| {n} | {REGISTERS['COUNTER'].address + 4 * n:#05x} | `{c.name}` | {c.doc} |"


def markdown():
    """Yield the lines of `docs/registers.md`."""
    yield "| Address | Register | Access | Meaning |"
    yield "|--|--|--|--|"
    for r in REGISTERS.values():
        last = f"-{r.address + 4 * r.count - 4:#05x}" if r.count > 1 else ""
        yield f"| {r.address:#05x}{last} | `{r.name}` | {r.access} | {r.doc} |"
