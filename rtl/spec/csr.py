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
    "markdown",
]


REGISTER_ADDRESS_BITS = 12  # of a byte
IDENTITY = 0x44_41_45_48  # "HEAD", little endian
TOKENS = 16  # columns that there is a token register for
BEST = 64  # logits that the search keeps
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
    Register("TOKEN",         0x080, "rw", "Token of each column.", TOKENS),
    Register("BEST",          0x200, "r",  "Best logits, best first: fp32 bits, then id, of each.", 2 * BEST),
]}
# fmt: on
EVENT_COUNTERS = {r.name: r.event for r in REGISTERS.values() if r.event}


def markdown():
    """Yield the lines of `docs/registers.md`."""
    yield "| Address | Register | Access | Meaning |"
    yield "|--|--|--|--|"
    for r in REGISTERS.values():
        last = f"-{r.address + 4 * r.count - 4:#05x}" if r.count > 1 else ""
        yield f"| {r.address:#05x}{last} | `{r.name}` | {r.access} | {r.doc} |"
