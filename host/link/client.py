"""Link client: sends requests to a board, with retransmission and timeout."""

import secrets
import time
import zlib
from collections import deque
from dataclasses import dataclass

from rtl.spec.config import UNIT_BYTES
from rtl.spec.protocol import (
    HEADER_BYTES,
    MAGIC,
    MAX_DATA,
    MESSAGES,
    REPLY,
    STATUS_BYTES,
    VERSION,
    Op,
    Status,
    pack,
    unpack,
)

from ..device import DeviceError
from .frame import Unframer, encode


__all__ = ["LinkError", "Request", "Client"]


TIMEOUT = 0.1  # seconds without a reply, beyond what the line takes, after which a request is lost
LONGEST_TIMEOUT = 1.0
PATIENCE = 5.0  # seconds without any progress
WINDOW = 32  # requests under way, of those that may be executed twice
NUMBERS = 255  # sequence numbers: 1 to 255
CHECK_RATE = 10e6  # bytes per second that even a slow board sums up
CHUNK = 4096  # units that are compared, and if need be stored again, together
TRIES = 3  # to store a chunk
STEADY = 64  # replies without a loss after which a STORE may carry more again


class LinkError(DeviceError):
    """The board refused a request.

    Attributes
    ----------
    status : :class:`rtl.spec.protocol.Status`
    """

    def __init__(self, name, status, what):
        self.status = status
        super().__init__(f"{name}: {what}")


MEANINGS = {
    Status.MALFORMED: "the board does not understand {}. Its bitstream is of another version: "
    "build it again",
    Status.BUS: "the board has no answer to {}: the address does not exist, or its bus failed. Is "
    "its "
    "memory initialized, and its configuration the right one?",
    Status.UNSEALED: "the board refuses to start ({}): what is in its memory is not a whole image. "
    "Load the "
    "image again",
    Status.CHECKSUM: "the board's memory changed while it was loaded ({}). Load the image again; "
    "if it "
    "goes on, its memory is not reliable",
    Status.STRANGER: "the board was reset meanwhile, and has lost what was loaded. Load the image "
    "again",
}


@dataclass(eq=False)
class Request:
    """One request, as often as it is sent."""

    op: Op
    fields: dict
    data: bytes = b""
    tag: object = None
    number: int = 0
    frame: bytes = b""
    turn: int = 0  # when it was sent last, counted in sendings

    def __str__(self):
        return f"{self.op.name} {', '.join(f'{k} {v:#x}' for k, v in self.fields.items())}"

    def cut(self, units):
        """Requests that together store the same, so many units each."""
        step = units * UNIT_BYTES
        for at in range(0, len(self.data), step):
            yield Request(
                self.op, {"unit": self.fields["unit"] + at // UNIT_BYTES}, self.data[at : at + step]
            )

    def encode(self, number):
        """Give it a number, and its frame."""
        self.number = number
        self.frame = encode(
            bytes([self.op, number]) + pack(MESSAGES[self.op].request, self.fields) + self.data
        )


class Client:
    """Makes requests over a line that may lose, damage, double and invent bytes.

    Whatever a reply says is right but for one damaged packet in four billion; what was loaded
    is compared as a whole besides. Every call ends: with a result, or with one
    :exc:`~host.device.DeviceError` once there has been no progress for `patience` seconds.

    Parameters
    ----------
    port
        The line: `write(data)`, `read(timeout)`, `byte_seconds`, like :class:`~.serial.SerialPort`.
    name : :class:`str`
        What to call the board in messages.
    timeout, patience : :class:`float`
        Seconds after which a request is sent again, and after which to stop doing so.
    clock : callable
        Gives the time in seconds.

    Attributes
    ----------
    requests, repeats : :class:`int`
        Requests that were made, and how many sendings it took beyond that.
    """

    def __init__(
        self, port, *, name="link", timeout=TIMEOUT, patience=PATIENCE, clock=time.monotonic
    ):
        self.port, self.name, self.clock = port, name, clock
        self.timeout, self.patience = timeout, patience
        self.requests = self.repeats = 0
        self._unframer = Unframer()
        self._number, self._turn = secrets.randbelow(NUMBERS), 0
        self._units, self._steady = (
            MAX_DATA // UNIT_BYTES,
            0,
        )  # of a STORE; replies since the last loss

    # What boards can do.

    def hello(self):
        """Get acquainted. Returns the fields of the reply."""
        self.port.write(b"\0")  # whatever came before is no part of the frame
        reply = self.ask(Op.HELLO, nonce=secrets.randbits(32))
        if reply["magic"] != MAGIC:
            raise DeviceError(f"{self.name}: something else than Headrace answers at the port")
        if reply["version"] != VERSION or reply["max_data"] < UNIT_BYTES:
            raise DeviceError(
                f"{self.name}: the board's link has version {reply['version']}, this program has "
                f"{VERSION}. Build the bitstream again"
            )
        self._units = min(reply["max_data"], MAX_DATA) // UNIT_BYTES
        return reply

    def read(self, address):
        """Read a register."""
        return self.ask(Op.READ, address=address)["value"]

    def read_all(self, addresses):
        """Read registers, without waiting for one before asking for the next."""
        values = {}
        requests = (Request(Op.READ, {"address": a}, tag=n) for n, a in enumerate(addresses))
        for request, reply in self.exchange(requests, window=WINDOW):
            values[request.tag] = reply["value"]
        return [values[n] for n in sorted(values)]

    def write(self, address, value):
        """Write a register."""
        self.ask(Op.WRITE, address=address, value=value)

    def store(self, unit, data, report=lambda done: None):
        """Write memory. `report` is called with the bytes that have been written."""

        def requests():
            at = 0
            while at < len(data):
                part = data[at : at + self._units * UNIT_BYTES]
                yield Request(Op.STORE, {"unit": unit + at // UNIT_BYTES}, part)
                at += len(part)

        done = 0
        for request, _ in self.exchange(requests(), window=WINDOW):
            done += len(request.data)
            report(done)

    def check(self, unit, units):
        """CRC-32 of memory."""
        return self.ask(Op.CHECK, units * UNIT_BYTES / CHECK_RATE, unit=unit, units=units)["crc"]

    def seal(self, unit, units, crc):
        """Let the machine be started, if this is the CRC-32 of memory."""
        self.ask(Op.SEAL, units * UNIT_BYTES / CHECK_RATE, unit=unit, units=units, crc=crc)

    def load(self, memory, report=lambda done: None):
        """Bring `memory`, bytes of whole units, to address 0, and seal it.

        What is there already, from an earlier time, is not sent. `report` is called with the bytes
        that are known to be there.
        """
        for start in range(0, len(memory), CHUNK * UNIT_BYTES):
            chunk = memory[start : start + CHUNK * UNIT_BYTES]
            unit, units = start // UNIT_BYTES, len(chunk) // UNIT_BYTES
            tries = 0
            while self.check(unit, units) != zlib.crc32(chunk):
                if tries == TRIES:
                    raise DeviceError(
                        f"{self.name}: the board's memory from {start:#x} to "
                        f"{start + len(chunk):#x} does not keep what is stored there. Is it "
                        "initialized?"
                    )
                tries += 1
                self.store(unit, chunk, lambda done: report(start + done))
            report(start + len(chunk))
        self.seal(0, len(memory) // UNIT_BYTES, zlib.crc32(memory))

    # How requests are made.

    def ask(self, op, seconds=0.0, **fields):
        """Fields of the reply to one request, which may take so many seconds beside the line."""
        ((_, reply),) = self.exchange([Request(op, fields)], seconds=seconds)
        return reply

    def exchange(self, requests, *, window=1, seconds=0.0):
        """Make requests. Yields pairs of a request and its reply's fields, as they come.

        Parameters
        ----------
        requests : iterable of :class:`Request`
            Taken from as replies come.
        window : :class:`int`
            Requests that are under way at a time. If it is more than one, they may be executed
            again in any order.
        seconds : :class:`float`
            Time that the board may take for one.
        """
        requests, pending = iter(requests), {}
        pieces = deque()  # of requests that were too long to get through
        waits = 0  # since the last reply
        progress = self.clock()
        while True:
            while len(pending) < window and self._has_number(pending):
                if (request := pieces.popleft() if pieces else next(requests, None)) is None:
                    break
                self._begin(request, pending)
            if not pending:
                return
            quiet = (
                seconds
                + self._line_seconds(pending)
                + min(self.timeout * 2**waits, max(LONGEST_TIMEOUT, self.timeout))
            )
            replies = self._replies(pending, self.clock() + quiet)
            if not replies:
                waits += 1
                if self.clock() - progress > self.patience + seconds:
                    raise self._silent(pending)
                self._again(list(pending.values()), pending, pieces)
            for request, _, _ in replies:
                del pending[request.number]
                waits, progress = 0, self.clock()
            # Replies come in order: what was sent before these will not be answered.
            newest = max((request.turn for request, _, _ in replies), default=0)
            self._again(
                [other for other in pending.values() if other.turn < newest], pending, pieces
            )
            for request, status, body in replies:
                self._grow()
                yield request, self._judge(request, status, body)

    def _has_number(self, pending):
        # Far from those under way, so that an old reply is never taken for a new one.
        oldest = next(iter(pending), None)
        return oldest is None or (self._number - oldest) % NUMBERS < NUMBERS // 2

    def _begin(self, request, pending):
        self._number = self._number % NUMBERS + 1
        request.encode(self._number)
        pending[request.number] = request
        self.requests += 1
        self._send(request)

    def _send(self, request, before=b""):
        self._turn += 1
        request.turn = self._turn
        self.port.write(before + request.frame)

    def _again(self, lost, pending, pieces):
        """Send requests again. Short frames are damaged less often: long ones are cut first."""
        if lost:
            self._steady, self._units = 0, max(1, self._units // 2)
        for request in lost:
            self.repeats += 1
            if len(request.data) > self._units * UNIT_BYTES:
                del pending[request.number]
                pieces.extend(request.cut(self._units))
            else:
                # A zero first: a damaged end before must not spoil it.
                self._send(request, b"\0")

    def _grow(self):
        self._steady += 1
        if self._steady % STEADY == 0:
            self._units = min(2 * self._units, MAX_DATA // UNIT_BYTES)

    def _line_seconds(self, pending):
        # The replies are shorter, but for a few that are not pipelined.
        return (
            self.port.byte_seconds
            * 2
            * sum(len(request.frame) + 32 for request in pending.values())
        )

    def _replies(self, pending, until):
        """Replies to pending requests, or none when there are none until then."""
        while (left := until - self.clock()) > 0:
            found = {}
            for packet in self._unframer.feed(self.port.read(left)):
                request = pending.get(packet[1])
                if (
                    request is not None
                    and packet[0] == request.op | REPLY
                    and len(packet) >= HEADER_BYTES + STATUS_BYTES
                    and self._is_ours(request, packet)
                ):
                    body = packet[HEADER_BYTES + STATUS_BYTES :]
                    found.setdefault(request.number, (request, packet[HEADER_BYTES], body))
            if found:
                return list(found.values())
        return []

    def _is_ours(self, request, packet):
        # A greeting by whoever had the port before may have had the same number.
        nonce = packet[HEADER_BYTES + STATUS_BYTES :][:4]
        return (
            request.op != Op.HELLO
            or packet[HEADER_BYTES] != Status.OK
            or int.from_bytes(nonce, "little") == request.fields["nonce"]
        )

    def _judge(self, request, status, body):
        """Fields of a reply; an exception if it says that the request failed."""
        if status != Status.OK:
            meaning = MEANINGS.get(
                status, f"the board answers {{}} with an unknown status {status}"
            )
            raise LinkError(self.name, status, meaning.format(request))
        try:
            return unpack(MESSAGES[request.op].reply, body)
        except ValueError as error:
            raise DeviceError(
                f"{self.name}: the board's reply to {request} is of another version ({error}). "
                "Build the bitstream again"
            ) from error

    def _silent(self, pending):
        request = next(iter(pending.values()))
        heard = self._unframer.dropped
        hint = (
            f"{heard} bytes came that are no replies: is the baud rate right?"
            if heard
            else "Is the bitstream loaded, the cable in, and the baud rate right?"
        )
        return DeviceError(
            f"{self.name}: no answer to {request} for {self.patience:.0f} seconds, after "
            f"{self.repeats} repetitions. {hint}"
        )
