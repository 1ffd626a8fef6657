"""Boards that only vendor tools place and route for."""

from dataclasses import dataclass

from host.errors import UserError
from rtl.spec import config as configs


__all__ = ["Target", "TARGETS", "get"]


@dataclass(frozen=True, kw_only=True)
class Target:
    """A board, as the vendor's tools know it.

    Parameters
    ----------
    name, title : :class:`str`
        What users call it; what it is.
    flow : :class:`str`
        "zynq": beside the processors of a Zynq UltraScale+, with PYNQ; "xrt": a kernel on a PCIe
        card.
    part, board_part : :class:`str`
        Names of the device, and of the board without its version. Of a card, `board_part` is its
        platform.
    config : :class:`str`
        Name of the accelerator's :class:`~rtl.spec.config.Config`.
    clock_mhz : :class:`float`
        Clock that is asked for. Nobody has routed for it.
    memory : :class:`str`
        Memory, in words.
    memory_peak : :class:`float`
        Bytes per second that it carries at most.
    port_bits : :class:`int`
        Width of the one port of the memory's side.
    port_mhz : :class:`float`
        Clock of that port; 0: the accelerator's.
    lut, ff, dsp, bram, uram : :class:`int`
        What the device has; block RAMs of 18 Kbit.
    """

    name: str
    title: str
    flow: str
    part: str
    board_part: str
    config: str
    clock_mhz: float
    memory: str
    memory_peak: float
    port_bits: int
    port_mhz: float = 0
    lut: int
    ff: int
    dsp: int
    bram: int
    uram: int

    def __post_init__(self):
        if self.flow not in ("zynq", "xrt"):
            raise ValueError(f"Flow must be 'zynq' or 'xrt', not {self.flow!r}")
        configs.get(self.config)

    def bandwidth(self, config):
        """Bytes per second that reach an accelerator of a configuration at most."""
        ours = config.beat_bytes * self.clock_mhz * 1e6
        return min(
            ours, self.port_bits / 8 * (self.port_mhz or self.clock_mhz) * 1e6, self.memory_peak
        )

    def shares(self, area):
        """What share of the device an :class:`~boards.synthesis.Area` is, by resource."""
        return {
            name: getattr(area, name) / getattr(self, name) for name in ("lut", "ff", "dsp", "bram")
        }


TARGETS = {
    target.name: target
    for target in [
        # S_AXI_HP0_FPD is 128 bits wide, as all ports from the fabric to the memory of these are.
        Target(
            name="kv260",
            title="AMD Kria KV260",
            flow="zynq",
            part="xck26-sfvc784-2LV-c",
            board_part="xilinx.com:kv260_som:part0",
            config="wide",
            clock_mhz=200.0,
            memory="DDR4-2400, 64 bits, 4 GB",
            memory_peak=19.2e9,
            port_bits=128,
            lut=117_120,
            ff=234_240,
            dsp=1_248,
            bram=288,
            uram=64,
        ),
        Target(
            name="zcu104",
            title="AMD ZCU104",
            flow="zynq",
            part="xczu7ev-ffvc1156-2-e",
            board_part="xilinx.com:zcu104:part0",
            config="wide",
            clock_mhz=200.0,
            memory="DDR4-2400, 64 bits, 2 GB",
            memory_peak=19.2e9,
            port_bits=128,
            lut=230_400,
            ff=460_800,
            dsp=1_728,
            bram=624,
            uram=96,
        ),
        # One of 32 pseudo channels of HBM: 256 bits at 450 MHz.
        Target(
            name="u280",
            title="AMD Alveo U280",
            flow="xrt",
            part="xcu280-fsvh2892-2L-e",
            board_part="xilinx_u280_gen3x16_xdma_1_202211_1",
            config="wide",
            clock_mhz=300.0,
            memory="HBM2, 8 GB",
            memory_peak=460e9,
            port_bits=256,
            port_mhz=450.0,
            lut=1_303_680,
            ff=2_607_360,
            dsp=9_024,
            bram=4_032,
            uram=960,
        ),
    ]
}


def get(name):
    """Look a board up by name."""
    if name not in TARGETS:
        raise UserError(f"BOARD must be one of {', '.join(TARGETS)}, not {name!r}")
    return TARGETS[name]
