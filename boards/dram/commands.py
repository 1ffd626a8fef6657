"""Issue DRAM commands through the controller's DFI registers, to initialise a memory."""

import enum

from .registers import REGISTERS


__all__ = ["Control", "Command", "Injector"]


class Control(enum.IntFlag):
    """Register `dfii_control`: who drives the memory, and lines that all its phases share."""

    HARDWARE = 1  # the controller drives; else these registers do
    CKE = 2
    ODT = 4
    RESET_N = 8


class Command(enum.IntFlag):
    """Registers `dfii_piN_command`: lines that are active in the one cycle of a command."""

    CS = 1
    WE = 2
    CAS = 4
    RAS = 8
    WRITE_DATA = 0x10
    READ_DATA = 0x20

    ACTIVATE = RAS | CS
    PRECHARGE = RAS | WE | CS
    REFRESH = RAS | CAS | CS
    LOAD_MODE = RAS | CAS | WE | CS
    CALIBRATE = WE | CS
    WRITE = CAS | WE | CS | WRITE_DATA
    READ = CAS | CS | READ_DATA


class Injector:
    """Registers of a controller, by name, and commands to its memory.

    Parameters
    ----------
    bus
        The control bus: `read(address)` and `write(address, value)`, addresses of 32-bit words.
    kind : :class:`str`
        Kind of the memory.
    """

    def __init__(self, bus, kind):
        self.bus, self.registers = bus, REGISTERS[kind]
        self._held = {}  # what registers that only the host changes hold: a link is slow

    def read(self, name):
        """Value of a register, which may be of several words: the first is the most significant."""
        address, words = self.registers[name]
        value = 0
        for n in range(words):
            value = value << 32 | self.bus.read(address + n)
        return value

    def write(self, name, value):
        """Set a register."""
        address, words = self.registers[name]
        for n in range(words):
            self.bus.write(address + n, value >> 32 * (words - 1 - n) & 0xFFFFFFFF)

    def control(self, value):
        """Set `dfii_control`."""
        self.write("sdram_dfii_control", value)

    def prepare(self, command, *, phase=0, address=0, bank=0):
        """Set a command up, so that :meth:`issue` gives it."""
        for name, value in (("address", address), ("baddress", bank), ("command", command)):
            name = f"sdram_dfii_pi{phase}_{name}"
            if self._held.get(name) != value:
                self.write(name, value)
                self._held[name] = value

    def issue(self, phase=0):
        """Give the command that was set up."""
        self.write(f"sdram_dfii_pi{phase}_command_issue", 1)

    def command(self, command, **options):
        """Give a command to the memory; see :meth:`prepare`."""
        self.prepare(command, **options)
        self.issue(options.get("phase", 0))
