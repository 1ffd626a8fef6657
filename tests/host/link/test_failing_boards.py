"""Boards that are reset, silent, noisy, strange or gone: the host notices, and says so."""

import zlib
from random import Random

import pytest

from host.device import DeviceError
from host.link.client import LinkError, Request
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import Op, Status

from .board import READ, Board, client, stuff


CONTROL = REGISTERS["CONTROL"].address


def test_a_reset_is_noticed():
    board = Board(units=2000)
    link = client(board)
    link.hello()
    link.port.before = lambda sent: board.reset() if sent > 50_000 else None
    with pytest.raises(LinkError, match="was reset meanwhile.* Load the image again") as caught:
        link.load(bytes(64 * 2000))
    assert caught.value.status == Status.STRANGER
    link.port.before = None
    for _ in range(3):
        with pytest.raises(LinkError, match="was reset"):
            link.write(CONTROL, 1)
    link.hello()
    with pytest.raises(LinkError, match="refuses to start"):
        link.write(CONTROL, 1)
    assert board.starts == 0


def test_a_reset_between_a_request_and_its_reply_is_noticed():
    board = Board()
    link = client(board)
    link.hello()
    hear, board.hear = (
        board.hear,
        lambda data: (board.reset(), setattr(board, "hear", hear))[0] or b"",
    )
    with pytest.raises(LinkError, match="was reset"):
        link.write(0x80, 1)


def test_silence():
    board = Board()
    link = client(board)
    link.hello()
    board.hear = lambda data: b""
    begun = link.port.now
    with pytest.raises(
        DeviceError,
        match=r"no answer to READ address 0x4 for 5 seconds, after \d+ repetitions\. Is "
        "the bitstream loaded",
    ):
        link.read(4)
    assert 5 < link.port.now - begun < 8
    begun = link.port.now
    with pytest.raises(DeviceError, match="no answer to STORE"):
        link.store(0, bytes(20_000))
    assert 5 < link.port.now - begun < 10


def test_noise_alone():
    """A wrong baud rate, or something else that never stops talking."""
    board = Board()
    link = client(board)
    random = Random(4)
    board.hear = lambda data: b""

    def read(timeout):
        link.port.now += 20 * link.port.byte_seconds
        return random.randbytes(20)

    link.port.read = read
    with pytest.raises(
        DeviceError,
        match=r"no answer to HELLO .*\d+ bytes came that are no replies: is the baud "
        "rate right",
    ):
        link.hello()
    assert link.port.now < 10


def test_another_machine():
    for wrong, message in [
        (b"HEADRACF\1\0", "something else than Headrace"),
        (b"HEADRACE\2\0", "version 2, this program has 1"),
    ]:
        board = Board()
        decide = board.decide
        board.decide = lambda *a: (0, decide(*a)[1].replace(b"HEADRACE\1\0", wrong))
        with pytest.raises(DeviceError, match=message):
            client(board).hello()


def test_replies_that_are_for_others():
    """Those of an earlier program, with the same numbers: HELLO tells by the nonce, others by
    order.
    """
    board = Board()
    link = client(board)
    answer = board.answer

    def chatty(op, number, body):
        if op == 1:
            earlier = answer(op, number, b"\1\2\3\4").replace(bytes([77, 0]), bytes([66, 0]))
            board.line_out = [earlier]
        real = answer(op, number, body)
        board.extra = [
            bytes([READ | 0x80, number ^ 1, 0]) + bytes(4),
            bytes([op | 0x80, number ^ 2, 0]),
            bytes([op | 0x80]),
            bytes([op ^ 7 | 0x80, number, 0]) + bytes(4),
        ]
        return real

    hear = board.hear

    def heard(data):
        out = hear(data)
        extra = getattr(board, "line_out", []) + getattr(board, "extra", [])
        board.line_out = []
        return b"".join(stuff(p + zlib.crc32(p).to_bytes(4, "little")) for p in extra) + out

    board.answer, board.hear = chatty, heard
    assert link.hello()["board"] == 77
    board.registers[8] = 88
    for _ in range(10):
        assert link.read(8) == 88


def test_a_line_that_fails_ends_the_call():
    link = client(Board())
    link.hello()

    def gone(*_):
        raise DeviceError("the port is gone")

    link.port.read = gone
    with pytest.raises(DeviceError, match="the port is gone"):
        link.read(0)


def test_what_is_wrong_is_not_sent():
    link = client(Board())
    link.hello()
    sent = link.port.sent
    for fields in ({"address": 1 << 32}, {"address": -1}, {"adress": 1}, {}):
        with pytest.raises(ValueError, match=r"^Field"):
            list(link.exchange([Request(Op.READ, fields)]))
    assert link.port.sent == sent
