# amaranth: UnusedElaboratable=no

from dataclasses import replace

import pytest

from rtl.memory.bursts import Bursts
from rtl.memory.reader import MemoryReader
from rtl.memory.splitter import Splitter
from rtl.spec.config import get


@pytest.mark.parametrize("units", [0, 3, 128, "4"])
def test_burst_wrong(units):
    with pytest.raises(
        ValueError, match=rf"^Burst must be a power of two from 1 to 64 units, not {units!r}$"
    ):
        Splitter(units)
    with pytest.raises(
        ValueError, match=rf"^Burst must be a power of two from 1 to 64 units, not {units!r}$"
    ):
        Bursts([64, units])


@pytest.mark.parametrize("depth", [8, 48, 0, 64.0])
def test_depth_wrong(depth):
    with pytest.raises(
        ValueError, match=rf"^Depth must be a power of two of at least 16 beats, not {depth!r}$"
    ):
        MemoryReader(get("small"), [64, depth])


@pytest.mark.parametrize("beat_bits, least", [(64, 16), (32, 32), (16, 64)])
def test_two_units_at_least(beat_bits, least):
    config = replace(get("small"), beat_bits=beat_bits)
    assert MemoryReader(config, [least]).burst_units == [1]
    with pytest.raises(ValueError, match=rf"^Depth must be .* at least {least} beats, not"):
        MemoryReader(config, [least // 2])


@pytest.mark.parametrize("clients", [0, 17])
def test_clients_wrong(clients):
    with pytest.raises(ValueError, match=rf"^Clients must be from 1 to 16, not {clients}$"):
        MemoryReader(get("small"), [64] * clients)


@pytest.mark.parametrize(
    "beat_bits, depth, units",
    [(128, 512, 16), (128, 16, 1), (512, 512, 64), (512, 128, 32), (16, 1024, 2), (16, 128, 1)],
)
def test_burst_units(beat_bits, depth, units):
    config = replace(get("small"), beat_bits=beat_bits)
    assert MemoryReader(config, [depth]).burst_units == [units]
