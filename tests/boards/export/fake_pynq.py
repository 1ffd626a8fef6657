"""A module `pynq` as far as the driver uses it, in front of any machine.

Written from PYNQ's sources: MMIO has an array of the words in its range, buffers are arrays of
numpy with `device_address`, `flush` and `freebuffer`, and `allocate` may find no room.
"""

from types import SimpleNamespace

import numpy as np


__all__ = ["ADDRESS", "Pynq"]


ADDRESS = 0x4_9234_5000  # above 4 GiB, so that both words of it matter


class Buffer(np.ndarray):
    """Memory that stays where it is."""

    def flush(self):
        self.owner.flushed = self.tobytes()
        if hasattr(self.owner.machine, "flushed"):
            self.owner.machine.flushed(self)

    def freebuffer(self):
        self.owner.freed.append(self.device_address)
        self[:] = 0xEE


class Words:
    """What a map of registers looks like: an array of unsigned integers."""

    def __init__(self, machine, count):
        self.machine, self.count = machine, count

    def check(self, index):
        assert type(index) is int and 0 <= index < self.count
        return 4 * index

    def __getitem__(self, index):
        return np.uint32(self.machine.read(self.check(index)))

    def __setitem__(self, index, value):
        assert type(value) is int and 0 <= value < 1 << 32
        self.machine.write(self.check(index), value)


class Pynq:
    """The module.

    Parameters
    ----------
    machine : object
        Has `read(offset)` and `write(offset, value)`: the block's registers. May have
        `flushed(buffer)`.
    room : :class:`int`
        Bytes that can be allocated.
    blocks : :class:`dict`
        Contents of `ip_dict`.
    """

    def __init__(self, machine, room=1 << 26, blocks=None, address=ADDRESS):
        self.machine, self.room, self.address = machine, room, address
        self.blocks = (
            {"headrace": {"phys_addr": 0xA000_0000, "addr_range": 0x2000}}
            if blocks is None
            else blocks
        )
        self.flushed, self.freed, self.loaded, self.buffer = None, [], [], None

    def Overlay(self, path):
        self.loaded.append(path)
        return SimpleNamespace(ip_dict=self.blocks)

    def MMIO(self, address, length):
        assert (address, length) == (0xA000_0000, 0x2000)

        return SimpleNamespace(array=Words(self.machine, length // 4))

    def allocate(self, shape, dtype):
        if int(np.prod(shape)) > self.room:
            raise RuntimeError("Allocate failed: -1")
        self.buffer = np.random.default_rng(1).integers(0, 256, shape).astype(dtype).view(Buffer)
        self.buffer.owner, self.buffer.device_address = self, self.address
        return self.buffer
