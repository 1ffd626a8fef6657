# amaranth: UnusedElaboratable=no

import pytest

from rtl.memory.reader import MemoryReader
from rtl.memory.splitter import Splitter
from rtl.spec.config import get


@pytest.mark.parametrize("units", [0, 3, 128, "4"])
def test_burst_wrong(units):
    with pytest.raises(
        ValueError, match=rf"^Burst must be a power of two from 1 to 64 units, not {units!r}$"
    ):
        Splitter(units)


@pytest.mark.parametrize("depth", [8, 48, 0, 64.0])
def test_depth_wrong(depth):
    with pytest.raises(
        ValueError, match=rf"^Depth must be a power of two of at least 16 beats, not {depth!r}$"
    ):
        MemoryReader(get("small"), [64, depth])


@pytest.mark.parametrize("clients", [0, 17])
def test_clients_wrong(clients):
    with pytest.raises(ValueError, match=rf"^Clients must be from 1 to 16, not {clients}$"):
        MemoryReader(get("small"), [64] * clients)


@pytest.mark.parametrize(
    "name, depth, units",
    [("small", 512, 16), ("small", 16, 1), ("wide", 512, 64), ("wide", 128, 32)],
)
def test_burst_units(name, depth, units):
    assert MemoryReader(get(name), [depth]).burst_units == [units]
