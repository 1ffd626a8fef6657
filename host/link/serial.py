"""A serial port: bytes out, bytes in, and errors that say what to do."""

import errno
import time

import serial

from ..device import DeviceError


__all__ = ["SerialPort"]


POLL = 0.02  # seconds that a read of the operating system may take
WRITE_PATIENCE = 3.0  # seconds
BITS = 10  # per byte, with start and stop bit


class SerialPort:
    """A serial port with eight data bits, no parity and one stop bit, for this process alone.

    Parameters
    ----------
    path : :class:`str`
        As the operating system calls it.
    baud : :class:`int`
        Bits per second.

    Attributes
    ----------
    byte_seconds : :class:`float`
        Time that a byte takes.
    """

    def __init__(self, path, baud):
        self.path, self.byte_seconds = path, BITS / baud
        try:
            self._serial = serial.Serial(
                path, baud, timeout=POLL, write_timeout=WRITE_PATIENCE, exclusive=True
            )
        except (OSError, ValueError) as error:
            raise DeviceError(f"{path}: {_why(error, baud)}") from error
        try:
            # USB adapters gather bytes for 16 ms otherwise, and every reply would wait for that.
            self._serial.set_low_latency_mode(True)
        except (AttributeError, NotImplementedError, OSError, ValueError):
            pass  # it is no such adapter, or not Linux

    def write(self, data):
        """Send bytes."""
        try:
            self._serial.write(data)
        except serial.SerialTimeoutException as error:
            raise DeviceError(
                f"{self.path}: the port takes no bytes. Is something holding it up?"
            ) from error
        except (OSError, TypeError) as error:  # pyserial's, when the port goes in the middle of it
            raise self._lost(error) from error

    def read(self, timeout):
        """Bytes that have come: at least one, or none after `timeout` seconds."""
        until = time.monotonic() + timeout
        while True:
            try:
                data = self._serial.read(max(1, self._serial.in_waiting))
            except (OSError, TypeError) as error:
                raise self._lost(error) from error
            if data or time.monotonic() >= until:
                return data

    def _lost(self, error):
        return DeviceError(
            f"{self.path}: the port is gone ({error}). Plug the cable in, and load the image again"
        )

    def close(self):
        """Give the port back. May be called again."""
        try:
            self._serial.close()
        except OSError:
            pass  # it is gone already


def _why(error, baud):
    """What is wrong with a port that does not open, and what to do."""
    number = getattr(error, "errno", None)
    if number in (errno.ENOENT, errno.ENXIO, errno.ENODEV):
        return "there is no such port. Is the board plugged in?"
    if number == errno.EACCES:
        return (
            "may not be opened. Add yourself to the group that owns it (often dialout), and "
            "log in again"
        )
    if number in (errno.EAGAIN, errno.EBUSY) or "lock" in str(error):
        return "another program uses the port. Close it"
    return f"does not open as a serial port at {baud} baud ({error})"
