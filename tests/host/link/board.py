"""A board at the other end of the link, written from docs/link.md alone, and lines that are bad.

Nothing here comes from the client or from the protocol's definition: what both get wrong would not
be seen.
"""

import os
import select
import threading
import tty
import zlib
from random import Random

import numpy as np

from host.link.client import Client
from rtl.spec.csr import BEST, IDENTITY, REGISTERS

from ..fake import FakeDevice


__all__ = ["Board", "Noise", "Line", "PtyBoard", "client"]


OK, MALFORMED, BUS, UNSEALED, CHECKSUM, STRANGER = range(6)
HELLO, READ, WRITE, STORE, CHECK, SEAL = range(1, 7)
AT = {name: register.address for name, register in REGISTERS.items()}


def stuff(packet):
    out, run = bytearray(), bytearray()
    for byte in packet + b"\0":
        if byte:
            run.append(byte)
        if not byte or len(run) == 254:
            out += bytes([len(run) + 1]) + run
            run.clear()
    return bytes(out) + b"\0"


def unstuff(frame):
    out, at = bytearray(), 0
    while at < len(frame):
        code = frame[at]
        if at + code > len(frame):
            return b""
        out += frame[at + 1 : at + code]
        at += code
        if code < 255 and at < len(frame):
            out.append(0)
    return bytes(out)


class Board:
    """What docs/link.md says that a board does, with a machine that is not real.

    Attributes
    ----------
    executed : :class:`list` of pairs
        Operation and number of all requests that were executed.
    starts : :class:`int`
        How often the machine was started.
    """

    def __init__(self, config=None, units=4096, seed=0):
        self.memory = bytearray(Random(seed).randbytes(64 * units))
        self.units, self.config = units, config
        self.registers, self.control, self.executed, self.starts = {}, {}, [], 0
        self.machine, self.line = FakeDevice(), bytearray()
        self.broken_from = None  # unit from which on memory keeps nothing
        if config is not None:
            self.registers = {
                AT["IDENTITY"]: IDENTITY,
                AT["DIGEST"]: int(config.digest[:8], 16),
                AT["FORMATS"]: 0xFF,
            }
        self.reset()

    def reset(self):
        self.greeted, self.sealed, self.last, self.reply = False, False, None, b""
        self.line.clear()

    def hear(self, data):
        """What the board sends when it hears these bytes."""
        answers = b""
        for byte in data:
            if byte:
                self.line.append(byte)
                continue
            packet, self.line = unstuff(self.line), bytearray()
            if 6 <= len(packet) <= 270 and zlib.crc32(packet[:-4]) == int.from_bytes(
                packet[-4:], "little"
            ):
                answer = self.answer(packet[0], packet[1], packet[2:-4])
                answers += stuff(answer + zlib.crc32(answer).to_bytes(4, "little"))
        return answers

    def answer(self, op, number, body):
        status, reply = self.decide(op, number, body)
        return bytes([op | 0x80, number, status]) + (reply if status == OK else b"")

    def decide(self, op, number, body):
        fits = (
            len(body) == {HELLO: 4, READ: 4, WRITE: 8, CHECK: 8, SEAL: 12}.get(op)
            or op == STORE
            and len(body) in (68, 132, 196, 260)
        )
        if op == HELLO and fits:
            self.greeted, self.last = True, None
            return OK, body + b"HEADRACE" + bytes([1, 0, 0, 1]) + (77).to_bytes(
                4, "little"
            ) + self.units.to_bytes(4, "little")
        if not self.greeted:
            return STRANGER, b""
        if not fits:
            return MALFORMED, b""
        if (op, number) != self.last:
            self.last = op, number
            self.executed.append(self.last)
            words = [
                int.from_bytes(body[n : n + 4], "little") for n in range(0, min(len(body), 12), 4)
            ]
            self.reply = self.execute(op, words, body)
        return self.reply

    def execute(self, op, words, body):
        address = words[0] & 0xFFFFFFF
        if op in (READ, WRITE):
            space = words[0] >> 28
            if space > 1 or space == 0 and address >= 4096 or space == 0 and address % 4:
                return BUS, b""
            bus = self.control if space else self.registers
            if op == READ:
                return OK, (bus.get(address, 0)).to_bytes(4, "little")
            if space == 1:
                self.sealed = False
            elif address == AT["CONTROL"] and words[1] & 1:
                if not self.sealed:
                    return UNSEALED, b""
                self.start()
            bus[address] = words[1]
            return OK, b""
        units = (len(body) - 4) // 64 if op == STORE else words[1]
        if op in (STORE, SEAL):
            self.sealed = False
        if not units or words[0] + units > self.units:
            return BUS, b""
        start, end = 64 * words[0], 64 * (words[0] + units)
        if op == STORE:
            if self.broken_from is None or end <= 64 * self.broken_from:
                self.memory[start:end] = body[4:]
            return OK, b""
        crc = zlib.crc32(self.memory[start:end])
        if op == CHECK:
            return OK, crc.to_bytes(4, "little")
        self.sealed = crc == words[2]
        return (OK if self.sealed else CHECKSUM), b""

    def start(self):
        """The machine answers at once, as FakeDevice does."""
        self.starts += 1
        get = self.registers.get
        tokens = [get(AT["TOKEN"] + 4 * n, 0) for n in range(get(AT["COLUMNS"], 0))]
        step = self.machine.step(tokens, get(AT["POSITION"], 0), get(AT["HEAD"], 0))
        self.registers |= {
            AT["STATUS"]: 2,
            AT["CYCLES"]: step.cycles,
            AT["WEIGHT_BEATS"]: step.weight_beats,
        }
        for n in range(BEST if len(step.ids) else 0):
            self.registers[AT["BEST"] + 8 * n] = int(np.float32(step.logits[n]).view(np.uint32))
            self.registers[AT["BEST"] + 8 * n + 4] = step.ids[n]


class Noise:
    """Loses, damages, doubles and invents bytes, each at a rate."""

    def __init__(self, seed=0, *, corrupt=0.0, drop=0.0, double=0.0, insert=0.0):
        self.random, self.rates = Random(seed), (corrupt, drop, double, insert)

    def __call__(self, data):
        corrupt, drop, double, insert = self.rates
        if not any(self.rates):
            return data
        out, random = bytearray(), self.random.random
        for byte in data:
            if random() < insert:
                out.append(self.random.randrange(256))
            if random() < corrupt:
                byte ^= self.random.randrange(1, 256)
            if random() >= drop:
                out += bytes([byte]) * (2 if random() < double else 1)
        return bytes(out)


class Line:
    """A port that leads to a board, without a real line or real time."""

    byte_seconds = 1e-5

    def __init__(self, board, noise=None):
        self.board, self.noise, self.now, self.coming = board, noise or Noise(), 0.0, bytearray()
        self.sent = 0
        self.before = None  # called with `sent` before each write

    def write(self, data):
        if self.before is not None:
            self.before(self.sent)
        self.sent += len(data)
        self.now += self.byte_seconds * len(data)
        self.coming += self.noise(self.board.hear(self.noise(data)))

    def read(self, timeout):
        if not self.coming:
            self.now += timeout
        data, self.coming = bytes(self.coming), bytearray()
        self.now += self.byte_seconds * len(data)
        return data


def client(board, noise=None, **options):
    """A client at such a line."""
    line = Line(board, noise)
    return Client(line, clock=lambda: line.now, **options)


class PtyBoard:
    """A board at a terminal that looks like a serial port.

    Attributes
    ----------
    path : :class:`str`
    """

    def __init__(self, board, noise=None):
        self.board, self.noise, self.silent = board, noise or Noise(), False
        self.after = None  # bytes to hear, and what to call then
        self._master, slave = os.openpty()
        tty.setraw(slave)
        self.path = os.ttyname(slave)
        self._slave, self._plugged, self._heard = slave, True, 0
        self._thread = threading.Thread(target=self._serve, daemon=True)
        self._thread.start()

    def _serve(self):
        while self._plugged:
            if not select.select([self._master], [], [], 0.01)[0]:
                continue
            try:
                data = os.read(self._master, 4096)
            except OSError:
                break
            self._heard += len(data)
            if self.after is not None and self._heard >= self.after[0]:
                (_, action), self.after = self.after, None
                action()
            if not self._plugged:
                break
            answer = b"" if self.silent else self.noise(self.board.hear(self.noise(data)))
            while answer:
                answer = answer[os.write(self._master, answer) :]

    def unplug(self):
        """Pull the cable out; may be called by what `after` calls."""
        if self._plugged:
            self._plugged = False
            if threading.current_thread() is not self._thread:
                self._thread.join(5)
            os.close(self._slave)
            os.close(self._master)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.unplug()
