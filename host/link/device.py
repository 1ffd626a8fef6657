"""A board at a serial port."""

from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import BAUD

from ..device import DeviceError, RegisterDevice, check_digest
from ..progress import progress as bar
from .client import Client
from .serial import SerialPort


__all__ = ["UartDevice"]


def address(port):
    """Path and baud rate that `PATH` or `PATH:BAUD` stands for."""
    path, colon, baud = port.rpartition(":")
    # Paths of ports may have colons of their own.
    if not colon or not baud.isdecimal():
        return port, BAUD
    if not path or not 1200 <= int(baud) <= 20_000_000:
        raise DeviceError(
            f"uart: a port must be PATH or PATH:BAUD with a baud rate from 1200 to 20000000, not "
            f"{port!r}"
        )
    return path, int(baud)


class UartDevice(RegisterDevice):
    """A board with :class:`rtl.link.link.UartLink` at a serial port.

    An image is sent once: what the board's memory holds already is compared, not sent again.

    Parameters
    ----------
    config : :class:`rtl.spec.config.Config`
    port : :class:`str`
        `PATH` or `PATH:BAUD`.
    link : :class:`dict`
        Options of :class:`~.client.Client`.
    watchdog, progress
        See :class:`host.device.RegisterDevice`.

    Attributes
    ----------
    board, memory_units : :class:`int`
        Which board it is, and the size of its memory.
    """

    def __init__(self, config, port, *, link=None, **options):
        super().__init__(config, **options)
        path, baud = address(port)
        self.name = f"uart:{path}"
        self._port = SerialPort(path, baud)
        try:
            self.link = Client(self._port, name=self.name, **(link or {}))
            hello = self.link.hello()
        except BaseException:
            self._port.close()
            raise
        self.board, self.memory_units = hello["board"], hello["memory_units"]

    def read(self, address):
        """Read a register."""
        return self.link.read(address)

    def get_all(self, name):
        """Values of all registers of a name."""
        register = REGISTERS[name]
        return self.link.read_all(register.address + 4 * n for n in range(register.count))

    def write(self, address, value):
        """Write a register."""
        self.link.write(address, int(value))

    def load(self, image):
        """Take an image; see :meth:`host.device.Device.load`. What does not fit is said before it
        is sent.
        """
        check_digest(self, image)
        self.check_registers(image)
        super().load(image)

    def write_memory(self, memory, units):
        """Load and seal memory. What lies behind the image keeps its contents: nothing reads it
        unwritten.
        """
        if units > self.memory_units:
            raise DeviceError(
                f"{self.name}: the image needs {units * UNIT_BYTES / 2**20:.0f} MiB, but the "
                f"board's memory has {self.memory_units * UNIT_BYTES / 2**20:.0f}. Compile "
                "with a shorter context, or a smaller model"
            )
        self.bring_up()
        data = bytes(memory) + bytes(-len(memory) % UNIT_BYTES)
        total = -(-len(data) // 1024)
        with bar("loading the image, KiB") as report:
            report(0, total)
            self.link.load(data, lambda done: report(done // 1024, total))

    def bring_up(self):
        """Make memory ready. A subclass that knows the board knows how."""

    def close(self):
        """Let go of the port."""
        self._port.close()
