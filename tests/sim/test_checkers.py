"""Checkers are where they should be, and what is excepted exists."""

import re

import pytest
from amaranth.hdl import Fragment
from amaranth.lib import wiring

from sim.checkers.attach import checked_verilog
from sim.checkers.exceptions import BUSY, LOOSE, MAY_FALL, ONLY_WHILE
from sim.harness.build import cases, component


def _components(fragment):
    yield from (origin for origin in fragment.origins or () if isinstance(origin, wiring.Component))
    for inner, _, _ in fragment.subfragments:
        yield from _components(inner)


def _ports(found):
    """(class, port) of all streams of components."""
    for part in found:
        for path, _, _ in part.signature.flatten(part):
            yield type(part).__name__, ".".join(map(str, path[:-1]))


@pytest.mark.seconds(1)
def test_exceptions_name_ports_that_there_are():
    units = "top", "link", "link_uart", "queue"
    found = [
        part
        for unit in units
        for part in _components(Fragment.get(component(unit, next(iter(cases(unit)))), None))
    ]
    ports = set(_ports(found))
    announced = {(kind, stream) for kind, (streams, _) in BUSY.items() for stream in streams}
    assert {*MAY_FALL, *LOOSE, *announced} <= ports
    assert set(ONLY_WHILE) <= set(MAY_FALL)


@pytest.mark.seconds(8)
def test_every_stream_and_axi_channel_of_every_level_has_one():
    text, places = checked_verilog(component("top", "small"), "top")
    kinds = re.findall(r"^  (\w+_checker)\b", text, re.M)
    assert len(kinds) == len(places)
    parts = list(_components(Fragment.get(component("top", "small"), None)))
    members = [path[-1] for part in parts for path, _, _ in part.signature.flatten(part)]
    # A channel's `valid` is named after it: "awvalid", "m_axi_wvalid".
    channels = sum(str(name).endswith("valid") and name != "valid" for name in members)
    streams = members.count("payload")
    assert streams > 100 and channels > 10
    assert kinds.count("stream_checker") == streams + channels
    # Both directions of the top, of Control and its registers, and of reader and writer.
    assert sum(kind.startswith("axi_") for kind in kinds) == 2 * 2 + 2 * 2 + 2
