"""Room of a client's buffer, with and without a ring behind it."""

from dataclasses import replace

import pytest

from mapper.estimate.dram import Memory
from mapper.estimate.events import Clock
from mapper.estimate.hardware import hardware
from mapper.estimate.reader import Reader
from rtl.spec.config import CONFIGS


CLIENT, UNITS = 1, 100


@pytest.mark.parametrize("ring, most", [(0, 128), (64, 192), (1000, 400)])
def test_room(ring, most):
    """Nobody takes beats: as many are asked for as the buffer and the ring hold, but never more at
    once than the buffer.
    """
    config = replace(CONFIGS["small"], dram="ideal")
    clock, asked = Clock(), []
    memory = Memory(config.dram, config.beat_bytes, config.clock_mhz)
    reader = Reader(clock, config, memory, hardware(config))
    client = reader.clients[CLIENT]
    client.ring = ring
    read = memory.read

    def noted(cycle, address, beats):
        asked.append((cycle, beats))
        return read(cycle, address, beats)

    memory.read = noted
    client.request(0, UNITS)
    clock.run()
    assert sum(beats for _, beats in asked) == most
    assert sum(beats for cycle, beats in asked if cycle < config.dram.latency) == client.depth
