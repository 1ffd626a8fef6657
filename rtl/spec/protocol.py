"""The link's protocol: the one definition shared by gateware, host and docs.

A request and its reply are packets: an operation, a sequence number, a body, a checksum. On a
serial line a packet is a COBS frame with a zero behind it; `docs/link.md` says what both sides do.
"""

import enum
import inspect
import re
from dataclasses import dataclass


__all__ = [
    "MAGIC",
    "VERSION",
    "BAUD",
    "MAX_DATA",
    "HEADER_BYTES",
    "STATUS_BYTES",
    "CRC_BYTES",
    "REPLY",
    "SPACE_ADDRESS_BITS",
    "Op",
    "Status",
    "Space",
    "Field",
    "Message",
    "MESSAGES",
    "MAX_REQUEST",
    "pack",
    "unpack",
    "markdown",
]


MAGIC = int.from_bytes(b"HEADRACE", "little")
VERSION = 1
BAUD = (
    1_000_000  # where nothing else is said: exact for the clocks of boards, and for their USB chips
)

MAX_DATA = 256  # bytes that one STORE carries at most
HEADER_BYTES = 2  # operation, sequence number
STATUS_BYTES = 1  # in replies, behind the header
CRC_BYTES = 4  # CRC-32 of Ethernet and zlib over all before it, at the end of each packet
REPLY = 0x80  # added to the operation in a reply
SPACE_ADDRESS_BITS = 28  # of a register within its Space, which is in the bits above


class Op(enum.IntEnum):
    """What is asked for."""

    HELLO = 0x01
    READ = 0x02
    WRITE = 0x03
    STORE = 0x04
    CHECK = 0x05
    SEAL = 0x06


class Status(enum.IntEnum):
    """What came of a request."""

    OK = 0  # done
    MALFORMED = 1  # no such operation, or a body of another size
    BUS = 2  # the address does not exist, or the bus answered with an error, or not at all
    UNSEALED = 3  # a start was refused: what was loaded has not been sealed
    CHECKSUM = 4  # SEAL found another checksum
    STRANGER = 5  # no HELLO since the board was reset


class Space(enum.IntEnum):
    """What an address of READ and WRITE refers to: its upper four bits."""

    REGISTERS = (
        0  # the accelerator's registers, see [registers.md](registers.md); addresses of bytes
    )
    CONTROL = 1  # the board's control bus, such as a DRAM controller's; addresses of 32-bit words


@dataclass(frozen=True)
class Field:
    """A little endian unsigned integer in a body."""

    name: str
    bytes: int
    doc: str


@dataclass(frozen=True)
class Message:
    """A request and its reply.

    Attributes
    ----------
    request, reply : tuple of :class:`Field`
        Fields of the bodies, in order. A reply has its body only if its status is OK.
    data : :class:`int`
        Data follow the request's fields: a positive multiple of so many bytes, up to
        :data:`MAX_DATA`. 0: none follow.
    """

    op: Op
    request: tuple[Field, ...]
    reply: tuple[Field, ...]
    doc: str
    data: int = 0

    @property
    def sizes(self):
        """Sizes that the request's body may have, in bytes."""
        fields = size(self.request)
        return (
            [fields + n for n in range(self.data, MAX_DATA + 1, self.data)]
            if self.data
            else [fields]
        )


ADDRESS = Field("address", 4, "space in bits 31 to 28, address in it below")
UNIT = Field("unit", 4, "first unit of 64 bytes")
UNITS = Field("units", 4, "how many units, at least one")
CRC = Field("crc", 4, "CRC-32 of the memory")

MESSAGES = {
    message.op: message
    for message in [
        Message(
            Op.HELLO,
            (Field("nonce", 4, "any number"),),
            (
                Field("nonce", 4, "the same number"),
                Field("magic", 8, '"HEADRACE"'),
                Field("version", 2, f"version of this protocol: {VERSION}"),
                Field("max_data", 2, f"bytes that one STORE carries at most: {MAX_DATA}"),
                Field("board", 4, "which board this is"),
                Field("memory_units", 4, "size of its memory, in units"),
            ),
            "Get acquainted. Always executed; must be the first request after a reset of either "
            "side.",
        ),
        Message(Op.READ, (ADDRESS,), (Field("value", 4, "value"),), "Read a register."),
        Message(
            Op.WRITE,
            (ADDRESS, Field("value", 4, "value")),
            (),
            "Write a register. A start while memory is not sealed is refused. In the space CONTROL "
            "it "
            "breaks the seal: initializing a DRAM loses what it held.",
        ),
        Message(
            Op.STORE,
            (UNIT,),
            (),
            "Write the units that follow to memory. Breaks the seal.",
            data=64,
        ),
        Message(Op.CHECK, (UNIT, UNITS), (CRC,), "Compute the checksum of memory."),
        Message(
            Op.SEAL,
            (UNIT, UNITS, CRC),
            (),
            "Compute the checksum of memory, and seal memory if it is this one; else break the "
            "seal.",
        ),
    ]
}


def size(fields):
    """Bytes that fields take."""
    return sum(field.bytes for field in fields)


MAX_REQUEST = HEADER_BYTES + max(max(m.sizes) for m in MESSAGES.values())  # bytes, without checksum


def pack(fields, values):
    """Bytes of `fields` that have the `values`, by name."""
    if set(values) != {field.name for field in fields}:
        raise ValueError(
            f"Fields must be {', '.join(f.name for f in fields)}, not {', '.join(values)}"
        )
    for field in fields:
        if not 0 <= values[field.name] < 1 << 8 * field.bytes:
            raise ValueError(
                f"Field {field.name} must be in range(0, {1 << 8 * field.bytes:#x}), "
                f"not {values[field.name]!r}"
            )
    return b"".join(int(values[field.name]).to_bytes(field.bytes, "little") for field in fields)


def unpack(fields, body):
    """Values of `fields`, by name, of as many bytes as they take."""
    if len(body) != size(fields):
        raise ValueError(f"Body must have {size(fields)} bytes, not {len(body)}")
    values, at = {}, 0
    for field in fields:
        values[field.name] = int.from_bytes(body[at : at + field.bytes], "little")
        at += field.bytes
    return values


def markdown():
    """Yield the lines of the tables in `docs/link.md`."""
    yield "| Operation | Request's body | Reply's body | Meaning |"
    yield "|--|--|--|--|"
    for m in MESSAGES.values():

        def row(fields, data=0):
            parts = [f"u{8 * f.bytes} `{f.name}`" for f in fields]
            return (
                ", ".join(parts + [f"{data} to {MAX_DATA} bytes in steps of {data}"] * bool(data))
                or "none"
            )

        yield (
            f"| {m.op.value:#04x} {m.op.name} | {row(m.request, m.data)} | {row(m.reply)} | "
            f"{m.doc} |"
        )
    yield ""
    yield "| Field | Meaning |"
    yield "|--|--|"
    seen = {field.name: field for m in MESSAGES.values() for field in (*m.request, *m.reply)}
    for field in seen.values():
        doc = "any number; the reply has the same" if field.name == "nonce" else field.doc
        yield f"| `{field.name}` | {doc} |"
    for title, enumeration in (("Status", Status), ("Space", Space)):
        # The comments behind the members say what they mean.
        source = inspect.getsource(enumeration)
        yield ""
        yield f"| {title} | Meaning |"
        yield "|--|--|"
        for member in enumeration:
            meaning = re.search(rf"{member.name} += [^#]*# *(.*)", source)[1]
            yield f"| {member.value} {member.name} | {meaning} |"
