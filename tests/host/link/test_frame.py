"""Frames: as others stuff them, in pieces, and damaged."""

from random import Random

import pytest
from cobs import cobs

from host.link.frame import Unframer, encode

from .board import stuff, unstuff


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
