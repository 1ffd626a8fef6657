"""The host's side of the link, against a board that was written from the documentation alone."""

import zlib
from random import Random

import pytest
from cobs import cobs

from host.device import DeviceError
from host.link.client import CHUNK, LinkError, Request
from host.link.frame import Unframer, encode
from rtl.spec.csr import REGISTERS
from rtl.spec.protocol import Op, Status

from .board import READ, STORE, WRITE, Board, Noise, client, stuff, unstuff


CONTROL = REGISTERS["CONTROL"].address
NOISES = {
    "clean": {},
    "corrupt": {"corrupt": 0.01},
    "drop": {"drop": 0.01},
    "double": {"double": 0.01},
    "insert": {"insert": 0.01},
    "all": {"corrupt": 0.003, "drop": 0.003, "double": 0.003, "insert": 0.003},
    "bad": {"corrupt": 0.03},
}


def patterns(seed, count=40):
    random = Random(seed)
    for size in [
        1,
        2,
        253,
        254,
        255,
        256,
        508,
        509,
        *(random.randrange(1, 300) for _ in range(count)),
    ]:
        yield bytes(random.choice([0, random.randrange(256)]) for _ in range(size))
        yield bytes(random.randrange(1, 256) for _ in range(size))
        yield bytes(size)


# Frames


def test_the_board_here_stuffs_as_others_do():
    for packet in patterns(1):
        assert unstuff(stuff(packet)[:-1]) == packet == unstuff(cobs.encode(packet))
        assert cobs.decode(stuff(packet)[:-1]) == packet


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_frames_in_pieces(step):
    packets = [
        bytes([op, n]) + body
        for n, op, body in zip(range(40), [0x81] * 40, patterns(2))
        if len(body) <= 264
    ]
    line = b"\0" + b"\0\0".join(encode(packet) for packet in packets)
    unframer, found = Unframer(), []
    for at in range(0, len(line), step):
        found += unframer.feed(line[at : at + step])
    assert found == packets and unframer.dropped == 0


def test_damaged_frames_are_dropped():
    packet = bytes([0x82, 5, 0, 1, 2, 3, 4])
    frame = encode(packet)[:-1]
    wrong = [
        frame[:n] + bytes([frame[n] ^ 1 << bit]) + frame[n + 1 :]
        for n in range(len(frame))
        for bit in range(8)
    ]
    wrong += [frame[:n] + frame[n + 1 :] for n in range(len(frame))]
    wrong += [
        frame[:n] + bytes([byte]) + frame[n:]
        for n in range(len(frame))
        for byte in (0, 1, 255)
        if n
    ]
    wrong += [b"\x05\x01", b"\xff" * 600, b"\x01" * 600]
    unframer = Unframer()
    for raw in wrong:
        assert unframer.feed(raw + b"\0") == [], raw
    assert unframer.dropped >= 600
    assert unframer.feed(frame + b"\0") == [packet]


def test_noise_without_end_takes_no_memory():
    unframer = Unframer()
    for _ in range(100):
        assert unframer.feed(b"\x55" * 1000) == []
    assert unframer.dropped > 90_000 and len(unframer._frame) < 1000
    assert unframer.feed(b"\0" + encode(b"hello")) == [b"hello"]


# Single requests


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


# Loading


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("noise", NOISES)
def test_load(noise, seed):
    board = Board(units=1500, seed=100 + seed)
    image, before = Random(seed).randbytes(64 * 1234), bytes(board.memory)
    link = client(board, Noise(f"{noise} {seed}", **NOISES[noise]), patience=60)
    link.hello()
    done = []
    link.load(image, done.append)
    assert board.memory == image + before[len(image) :]
    assert board.sealed and done[-1] == len(image) and max(done) == len(image)
    link.write(CONTROL, 1)
    assert board.starts == 1
    if noise == "clean":
        assert link.repeats == 0 and done == sorted(done)
        # All but the last STORE carry as much as they may.
        assert [op for op, _ in board.executed].count(STORE) == -(-1234 // 4)


def test_what_is_there_is_not_sent():
    board = Board(units=3 * CHUNK)
    link = client(board)
    link.hello()
    image = bytearray(Random(1).randbytes(64 * (2 * CHUNK + 7)))
    link.load(bytes(image))
    sent = link.port.sent
    link.load(bytes(image))
    assert link.port.sent - sent < 200 and board.sealed
    board.executed.clear()
    image[64 * CHUNK + 5] ^= 1
    link.load(bytes(image))
    assert [op for op, _ in board.executed].count(STORE) == CHUNK // 4
    assert board.memory[: len(image)] == image and board.sealed


def test_a_partly_loaded_image_is_not_started():
    board = Board(units=2000)
    link = client(board)
    link.hello()
    link.load(bytes(64 * 1000))
    link.write(CONTROL, 1)

    class Interrupted(Exception):
        pass

    def report(done):
        if done > 20_000:
            raise Interrupted

    image = Random(2).randbytes(64 * 2000)
    with pytest.raises(Interrupted):
        link.load(image, report)
    with pytest.raises(LinkError, match="Load the image again"):
        link.write(CONTROL, 1)
    assert board.starts == 1
    # It goes on where it was.
    link.load(image)
    link.write(CONTROL, 1)
    assert board.starts == 2 and board.memory == image


def test_memory_that_keeps_nothing():
    board = Board(units=300)
    board.broken_from = 200
    link = client(board)
    link.hello()
    with pytest.raises(DeviceError, match="memory from 0x0 to 0x4b00 does not keep what is stored"):
        link.load(bytes(64 * 300))
    with pytest.raises(LinkError, match="refuses to start"):
        link.write(CONTROL, 1)


def test_frames_shrink_on_a_bad_line_and_grow_again():
    board = Board(units=4000)
    link = client(board, noise := Noise(5, corrupt=0.01), patience=60)
    link.hello()
    sizes, data, done = [], Random(6).randbytes(64 * 400), []
    begin = link._begin
    link._begin = lambda request, pending: (
        sizes.append(len(request.data) // 64),
        begin(request, pending),
    )
    link.store(5, data, done.append)
    assert (
        board.memory[64 * 5 : 64 * 405] == data and done[-1] == len(data) and done == sorted(done)
    )
    assert sizes[-50:].count(1) > 25
    noise.rates = (0, 0, 0, 0)
    link.store(0, bytes(64 * 2000))
    assert sizes[-100:] == [4] * 100


def test_numbers_are_not_used_again_too_soon():
    """While one request is not answered, others do not get so far that their replies could be its
    own.
    """
    board = Board()
    link = client(board, patience=60)
    link.hello()
    lost, hear = [], board.hear

    def deaf(data):
        packet = unstuff(data.strip(b"\0"))
        if not lost or packet[1] == lost[0] and len(lost) < 30:
            lost.append(packet[1])
            return b""
        return hear(data)

    board.hear = deaf
    board.registers |= {4 * n: n for n in range(1000)}
    assert link.read_all(4 * n for n in range(1000)) == list(range(1000))
    assert len(lost) == 30


# Boards that fail


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
