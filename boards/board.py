"""Boards that bitstreams are built for: what is on them, in frozen values with names.

Each is a file `NAME.toml` of this folder (:mod:`host.boards`), and a module with its clocks and the
system on its pins, which is imported when a bitstream is built. `amaranth_boards` says which pins a
board has. Files have the name that users type, the report in `baselines/` too; the module has `_`
for `-`, as Python wants.
"""

from dataclasses import dataclass, replace
from importlib import import_module

from host import configurations
from host.boards import descriptions
from host.errors import UserError
from host.tables import made
from rtl.spec.config import Config
from rtl.spec.protocol import BAUD

from .dram.board_memory import BoardMemory


__all__ = ["Board", "BOARDS", "get", "by_number"]


@dataclass(frozen=True, kw_only=True)
class Board:
    """One board.

    Parameters
    ----------
    name : :class:`str`
        What users call it; also that of its configuration.
    title : :class:`str`
        What its makers call it.
    number : :class:`int`
        How it introduces itself over the link.
    dram : :class:`~.dram.board_memory.BoardMemory`
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
    dram: BoardMemory
    load: str
    port: str = "/dev/ttyUSB0"
    wiring: str = ""
    baud: int = BAUD
    seed: int = 1
    chosen: Config | None = None

    @property
    def config(self):
        """Its :class:`~rtl.spec.config.Config`."""
        return self.chosen or configurations.read(self.name)

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
        """Name of the module with its clocks and connections."""
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
        """Its pins, as `amaranth_boards` describes them."""
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


def _described(name, table):
    """The board of a description; its memory's clock is the configuration's."""
    values = {field: value for field, value in table.items() if field != "config"}
    if isinstance(dram := values.get("dram"), dict):
        if "clock_mhz" in dram:
            raise UserError(f"{name}: dram: clock_mhz must be left out; it is the configuration's")
        clock = configurations.read(name).clock_mhz
        values["dram"] = made(BoardMemory, {**dram, "clock_mhz": clock}, f"{name}: dram")
    return made(Board, {**values, "name": name}, name)


BOARDS = {name: _described(name, table) for name, table in descriptions().items()}


def get(name):
    """Look a board up by name."""
    if name not in BOARDS:
        raise UserError(f"BOARD must be one of {', '.join(BOARDS)}; not {name!r}")
    return BOARDS[name]


def by_number(number):
    """The board that introduces itself so, or None."""
    return next((board for board in BOARDS.values() if board.number == number), None)
