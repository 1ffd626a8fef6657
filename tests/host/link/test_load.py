"""Loading an image over the link: on noisy lines, in part, and again."""

from random import Random

import pytest

from host.device import DeviceError
from host.link.client import CHUNK, LinkError
from rtl.spec.csr import REGISTERS

from .board import STORE, Board, Noise, client, unstuff
from .noises import NOISES


CONTROL = REGISTERS["CONTROL"].address


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
