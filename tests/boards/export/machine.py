"""The block's registers, in front of the fake machine of tests/host."""

from boards.export.registers import MACHINE, REGISTERS
from rtl.spec.csr import REGISTERS as MACHINE_REGISTERS
from tests.host.link.board import Board


__all__ = ["Machine"]


CONTROL = MACHINE_REGISTERS["CONTROL"].address
BASE = REGISTERS["BASE"].address


class Machine:
    """Registers that are there, and a machine that answers at once.

    Attributes
    ----------
    base : :class:`int`
        Register BASE.
    events : :class:`list` of :class:`str`
        Starts and resets.
    """

    def __init__(self, config, units=1 << 12):
        self.board, self.base, self.events = Board(config, units=units), 0, []

    def read(self, offset):
        if offset in (BASE, BASE + 4):
            return self.base >> 8 * (offset - BASE) & 0xFFFFFFFF
        assert offset >= MACHINE, f"no register at {offset:#x}"
        return self.board.registers.get(offset - MACHINE, 0)

    def write(self, offset, value):
        if offset in (BASE, BASE + 4):
            shift = 8 * (offset - BASE)
            self.base = self.base & ~(0xFFFFFFFF << shift) | value << shift
            return
        assert offset >= MACHINE, f"no register at {offset:#x}"
        self.board.registers[offset - MACHINE] = value
        if offset - MACHINE == CONTROL:
            self.events += ["start"] * (value & 1) + ["reset"] * (value >> 1 & 1)
            if value & 1:
                self.board.start()
