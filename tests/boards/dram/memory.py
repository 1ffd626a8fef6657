"""A control bus with LiteDRAM's registers, and a DDR3 memory behind it that listens at some delays
alone.
"""

from random import Random

from boards.dram.registers import REGISTERS


__all__ = ["FakeController"]


CS, WE, CAS, RAS, WRITE_DATA, READ_DATA = (1 << n for n in range(6))
HARDWARE, CKE, ODT, RESET_N = (1 << n for n in range(4))
COMMANDS = {
    RAS | CS: "activate",
    RAS | WE | CS: "precharge",
    RAS | CAS | CS: "refresh",
    RAS | CAS | WE | CS: "mode",
    WE | CS: "calibrate",
    CAS | WE | CS | WRITE_DATA: "write",
    CAS | CS | READ_DATA: "read",
}


class FakeController:
    """Registers, and what they do. Written from the generated header and LiteX's accessors, not
    from our code.

    Parameters
    ----------
    kind : :class:`str`
        Of the memory.
    windows : sequence
        For each lane, pairs of a bitslip and a delay that read right.

    Attributes
    ----------
    log : :class:`list`
        Commands that the memory got, with phase, address and bank.
    """

    def __init__(self, kind, windows=()):
        self.names = {address: (name, words) for name, (address, words) in REGISTERS[kind].items()}
        self.windows, self.kind = [set(window) for window in windows], kind
        self.values, self.log = {address: 0 for address in range(0x1000)}, []
        self.values[REGISTERS[kind]["sdram_dfii_control"][0]] = HARDWARE
        self.delay, self.bitslip = [0, 0], [0, 0]
        self.cell, self.open, self.random = None, False, Random(1)

    def find(self, address):
        for n in range(2):
            name, words = self.names.get(address - n, (None, 0))
            if n < words:
                return name, n
        raise AssertionError(f"no register at {address:#x}")

    def value(self, name):
        address = next(a for a, (other, _) in self.names.items() if other == name)
        value = 0
        for n in range(self.names[address][1]):
            value = value << 32 | self.values[address + n]
        return value

    def put(self, name, value):
        address = next(a for a, (other, _) in self.names.items() if other == name)
        words = self.names[address][1]
        for n in range(words):
            self.values[address + n] = value >> 32 * (words - 1 - n) & 0xFFFFFFFF

    def read(self, address):
        self.find(address)
        return self.values[address]

    def write(self, address, value):
        name, _ = self.find(address)
        assert 0 <= value < 1 << 32
        self.values[address] = value
        if name.endswith("command_issue"):
            self.command(int(name[len("sdram_dfii_pi")]))
        elif name == "sdram_dfii_control":
            self.log.append(("control", value))
        elif name == "ddrphy_burstdet_clr":
            self.put("ddrphy_burstdet_seen", 0)
        for n in range(len(self.windows)):
            if self.kind == "ddr3" and self.value("ddrphy_dly_sel") >> n & 1:
                if name == "ddrphy_rdly_dq_rst":
                    self.delay[n] = 0
                elif name == "ddrphy_rdly_dq_inc":
                    self.delay[n] = (self.delay[n] + 1) % 8
                elif name == "ddrphy_rdly_dq_bitslip_rst":
                    self.bitslip[n] = 0
                elif name == "ddrphy_rdly_dq_bitslip":
                    self.bitslip[n] = (self.bitslip[n] + 1) % 4

    def command(self, phase):
        control = self.value("sdram_dfii_control")
        assert not control & HARDWARE and control & CKE and control & RESET_N
        prefix = f"sdram_dfii_pi{phase}_"
        name = COMMANDS[self.value(prefix + "command")]
        self.log.append(
            (name, phase, self.value(prefix + "address"), self.value(prefix + "baddress"))
        )
        if name in ("activate", "precharge"):
            self.open = name == "activate"
        elif name == "write":
            assert self.open and phase == 1
            self.cell = [self.value(f"sdram_dfii_pi{n}_wrdata") for n in range(2)]
        elif name == "read":
            assert self.open and phase == 0
            self.answer()

    def answer(self):
        """Lanes that listen at the right time get what was written; others get anything, or no
        burst at all.
        """
        data, seen = [0, 0], 0
        for n, window in enumerate(self.windows):
            works = (self.bitslip[n], self.delay[n]) in window
            seen |= (works or self.random.random() < 0.5) << n
            for phase in range(2):
                for transfer in range(4):
                    at = 16 * transfer + 8 * n
                    byte = self.cell[phase] >> at & 0xFF if works else self.random.randrange(256)
                    data[phase] |= byte << at
        for phase in range(2):
            self.put(f"sdram_dfii_pi{phase}_rddata", data[phase])
        self.put("ddrphy_burstdet_seen", seen)
