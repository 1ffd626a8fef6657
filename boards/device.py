"""A board at a serial port, as a device of the host."""

import os

from host.device import DeviceError
from host.link.device import UartDevice
from rtl.spec.protocol import SPACE_ADDRESS_BITS, Space

from .board import by_number
from .dram.initialise import initialise


__all__ = ["PATIENCE", "ControlBus", "BoardDevice"]


# Environment variable with the seconds without progress after which a board is given up. For
# simulated boards, which take their time.
PATIENCE = "HEADRACE_PATIENCE"


def patience():
    """Options of the link that the environment asks for."""
    text = os.environ.get(PATIENCE)
    if text is None:
        return {}
    try:
        seconds = float(text)
    except ValueError:
        seconds = 0.0
    if not 0 < seconds < float("inf"):
        raise DeviceError(f"{PATIENCE} must be a positive number of seconds, not {text!r}")
    return {"patience": seconds}


class ControlBus:
    """Registers on a board's control bus, over its link.

    Parameters
    ----------
    link : :class:`host.link.client.Client`
        Link to the board.
    """

    def __init__(self, link):
        self._link = link

    def read(self, address):
        """Value of the register at an address of words."""
        return self._link.read(Space.CONTROL << SPACE_ADDRESS_BITS | address)

    def write(self, address, value):
        """Set the register at an address of words."""
        self._link.write(Space.CONTROL << SPACE_ADDRESS_BITS | address, value)


class BoardDevice(UartDevice):
    """A board at a serial port, whose memory is brought up before the first image is loaded.

    Which memory that is follows from how the board introduces itself. One that nobody knows is
    taken for one whose memory needs nothing. Parameters are those of
    :class:`~host.link.device.UartDevice`.
    """

    def __init__(self, config, port, *, link=None, **options):
        super().__init__(config, port, link={**patience(), **(link or {})}, **options)

    def bring_up(self):
        """Bring memory up, unless it is: then it keeps what it holds."""
        if (board := by_number(self.board)) is not None:
            initialise(ControlBus(self.link), board.dram, name=self.name)
