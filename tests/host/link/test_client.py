"""The host's side of the link, against a board that was written from the documentation alone."""

from random import Random

import pytest

from host.link.client import LinkError
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import Status

from .board import WRITE, Board, Noise, client
from .noises import NOISES


CONTROL = REGISTERS["CONTROL"].address


def test_hello_and_registers():
    board = Board(units=1000)
    link = client(board)
    board.line += b"left by another program"
    hello = link.hello()
    assert (hello["board"], hello["memory_units"], hello["max_data"]) == (77, 1000, 256)
    link.write(0x80, 0xFFFF_FFFF)
    link.write(1 << 28 | 0xFFFFFFF, 5)
    assert board.registers[0x80] == 0xFFFF_FFFF and board.control == {0xFFFFFFF: 5}
    assert link.read(0x80) == 0xFFFF_FFFF and link.read(1 << 28 | 0xFFFFFFF) == 5
    board.registers |= {4 * n: n * n for n in range(200)}
    assert link.read_all(4 * n for n in range(200)) == [n * n for n in range(200)]
    assert link.read_all([]) == [] and link.repeats == 0


@pytest.mark.parametrize(
    "status, ask, message",
    [
        (
            Status.BUS,
            lambda link: link.read(0x1000),
            "no answer to READ address 0x1000: the address does not exist",
        ),
        (Status.BUS, lambda link: link.store(4095, bytes(128)), "no answer to STORE unit 0xfff"),
        (
            Status.UNSEALED,
            lambda link: link.write(CONTROL, 1),
            "refuses to start .* not a whole image",
        ),
        (Status.CHECKSUM, lambda link: link.seal(0, 10, 0), "memory changed while it was loaded"),
    ],
)
def test_refused(status, ask, message):
    link = client(Board())
    link.hello()
    with pytest.raises(LinkError, match=message) as caught:
        ask(link)
    assert caught.value.status == status and "\n" not in str(caught.value)


@pytest.mark.parametrize("noise", NOISES)
def test_nothing_is_done_twice(noise):
    """A write is executed exactly once, whatever the line does; reads are never wrong."""
    board = Board()
    link = client(board, Noise(noise, **NOISES[noise]), patience=60)
    link.hello()
    random = Random(3)
    for n in range(300):
        board.executed.clear()
        value = random.getrandbits(32)
        link.write(0x80, value)
        assert [op for op, _ in board.executed] == [WRITE] and board.registers[0x80] == value
        assert link.read(0x80) == value
    assert (link.repeats == 0) == (noise == "clean")


@pytest.mark.parametrize("noise", NOISES)
def test_many_reads(noise):
    board = Board()
    board.registers |= {4 * n: 0x1234567 * n & 0xFFFFFFFF for n in range(1000)}
    link = client(board, Noise(noise, **NOISES[noise]), patience=60)
    link.hello()
    for _ in range(3):
        assert link.read_all(4 * n for n in range(1000)) == [
            0x1234567 * n & 0xFFFFFFFF for n in range(1000)
        ]
