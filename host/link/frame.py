"""Framing on a serial line: checksum, COBS byte stuffing, and a zero as terminator."""

import zlib

from cobs import cobs

from rtl.spec.protocol import CRC_BYTES, HEADER_BYTES, MAX_REQUEST


__all__ = ["encode", "Unframer"]


LONGEST = 2 * MAX_REQUEST  # no frame has more bytes


def encode(packet):
    """The frame of a packet."""
    return cobs.encode(packet + zlib.crc32(packet).to_bytes(CRC_BYTES, "little")) + b"\0"


class Unframer:
    """Finds the packets in what comes over a line.

    Attributes
    ----------
    dropped : :class:`int`
        Bytes that came in frames that are no packets.
    """

    def __init__(self):
        self.dropped = 0
        self._frame = bytearray()

    def feed(self, data):
        """Packets that end within `data`, without their checksums. Damaged ones are dropped."""
        *frames, rest = bytes(data).split(b"\0")
        packets = []
        for frame in frames:
            self._frame += frame
            if (packet := self._decode()) is not None:
                packets.append(packet)
            else:
                self.dropped += len(self._frame)
            self._frame.clear()
        self._frame += rest
        if len(self._frame) > LONGEST:
            # It is too long already, and its rest will not mend it.
            self.dropped += len(self._frame) - LONGEST
            del self._frame[LONGEST:]
        return packets

    def _decode(self):
        if not HEADER_BYTES + CRC_BYTES < len(self._frame) < LONGEST:
            return None
        try:
            raw = cobs.decode(self._frame)
        except cobs.DecodeError:
            return None
        packet, crc = raw[:-CRC_BYTES], raw[-CRC_BYTES:]
        if len(packet) < HEADER_BYTES or zlib.crc32(packet).to_bytes(CRC_BYTES, "little") != crc:
            return None
        return packet
