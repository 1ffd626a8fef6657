"""Where the cycles of one step go, on the simulated FPGA."""

from collections import Counter
from dataclasses import dataclass

import numpy as np

from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import COUNTERS
from rtl.spec.isa import Unit

from .fpga.device import SimDevice


__all__ = [
    "CLIENTS",
    "REST",
    "Recording",
    "STALLS",
    "UNITS",
    "assumed_cache",
    "counts_of",
    "profiled",
    "step_counts",
]


UNITS = ("sequencer", *(unit.name.lower() for unit in Unit))
REST = ("sequencer", "program")  # cycles in which no unit is at a node
# Who a cycle belongs to in which several units are at work: the first.
ORDER = tuple(unit.name.lower() for unit in (Unit.LINEAR, Unit.ATTENTION, Unit.VECTOR, Unit.LOAD))
STALLS = ("refreshing", "opening", "turning", "spacing")  # why the data bus waited
DRAM = (*STALLS, "reads", "writes", "activates", "conflicts", "refreshes")
CLIENTS = ("weight", "kv", "load", "fetch")


def assumed_cache(config, units, seed=1):
    """Bytes of a KV cache of so many units that holds something legal everywhere: random elements,
    and exponents of usual values.
    """
    rng, size = np.random.default_rng(seed), config.kv_block_units
    cache = np.frombuffer(rng.bytes(units * UNIT_BYTES), np.uint8).reshape(units, -1).copy()
    heads = cache[::size]
    heads[:] = rng.integers(110, 130, heads.shape)
    return cache.reshape(-1)


def clocks_of(config):
    """Clocks of the DRAM in a cycle of the machine; an ideal one has the machine's."""
    return 1 if config.dram.ideal else 1e6 / config.clock_mhz / config.dram.ck_ps


def step_counts(device, image, tokens, position, head):
    """Run a step of a new device that records, with a KV cache that is assumed, and count.

    Returns
    -------
    :class:`~collections.Counter`
        All of it adds up, and can be extrapolated. By key:

        - ``cycles`` alone.
        - ``beats`` and one of `CLIENTS` or ``write``.
        - ``dram`` and ``clocks``: of those, ``data`` moved in so many, the bus waited in those of
          `STALLS`, and nobody asked in the ``idle`` ones. Also the commands of `DRAM`.
        - ``unit``, a unit, and what it did while it was busy: ``working``, ``starved``, waiting for
          its ``output`` to be taken, or for a ``token``.
        - ``node``, a unit, its node, and ``cycles``, in which no unit before it in `ORDER` was at
          work; ``busy``, in which its own was; ``bytes``, ``macs``, and ``times``.
    """
    device.load(image)
    first, end = image.writable
    cache = assumed_cache(device.config, end - first)
    device.memory[first * UNIT_BYTES : end * UNIT_BYTES] = cache
    before = device.statistics()
    step = device.step(tokens, position, head)
    return counts_of(device, step, before)


def counts_of(device, step, before):
    """What :func:`step_counts` returns, of a step that was just run; `before` are the statistics
    before it."""
    after = device.statistics()
    count = {name: after[name] - before[name] for name in after}
    found = Counter({("cycles",): step.cycles})
    found |= {("beats", client): count[f"{client}_beats"] for client in CLIENTS}
    found["beats", "write"] = count["write_beats"]
    found |= {("dram", name): count[f"dram_{name}"] for name in DRAM}
    found["dram", "clocks"] = clocks = round(step.cycles * clocks_of(device.config))
    stalled = sum(found["dram", name] for name in STALLS)
    moved = count["read_beats"] + count["write_beats"]
    if not device.config.dram.ideal:
        moved = (found["dram", "reads"] + found["dram", "writes"]) * device.config.dram.bl // 2
    found["dram", "data"] = moved
    found["dram", "idle"] = clocks - stalled - moved
    counters = device.counters()
    assert counters.keys() == COUNTERS.keys(), "profiles are of machines with counters"
    for unit in UNITS:
        busy, starved, blocked, token = (
            counters.get(f"{unit}_{kind}", 0) for kind in ("busy", "starved", "blocked", "token")
        )
        found["unit", unit, "working"] = busy - starved - blocked
        found["unit", unit, "starved"] = starved
        found["unit", unit, "output"] = blocked - token
        found["unit", unit, "token"] = token
    return found + _nodes(list(device.nodes()), device.transitions(), step.cycles)


def _nodes(spans, transitions, cycles):
    """Counts of the nodes; each of the last cycles of the recording is one node's."""
    found = Counter()
    end = int(transitions[-1][0]) if len(transitions) else 0
    begin = end - cycles
    names = list(dict.fromkeys((span.unit, span.node) for span in spans))
    owner = np.zeros(cycles, np.int32)  # 0: nobody
    for unit in reversed(ORDER):
        for span in (span for span in spans if span.unit == unit):
            start = max(span.start - begin, 0)
            stop = max(span.start + span.cycles - begin, 0)
            owner[start:stop] = 1 + names.index((span.unit, span.node))
    owned = np.bincount(owner, minlength=1 + len(names))
    found["node", *REST, "cycles"] = int(owned[0])
    for name, count in zip(names, owned[1:]):
        found["node", *name, "cycles"] = int(count)
    for span in spans:
        key = "node", span.unit, span.node
        found[*key, "busy"] += span.cycles
        found[*key, "bytes"] += span.bytes
        found[*key, "macs"] += span.macs
        found[*key, "times"] += 1
    return found


@dataclass(frozen=True)
class Recording:
    """A step that was recorded: its :func:`step_counts`, the :class:`~.fpga.nodes.Span` of each
    unit, and :meth:`~.fpga.device.SimDevice.traffic`.
    """

    counts: Counter
    spans: list
    traffic: np.ndarray


def profiled(config, image, tokens, position, head, *, timeline=None, progress=None):
    """Record a step on a device of its own; parameters are those of :func:`step_counts`."""
    with SimDevice(config, timeline=timeline, record=True, build_progress=progress) as device:
        counts = step_counts(device, image, tokens, position, head)
        return Recording(counts, list(device.nodes()), device.traffic())
