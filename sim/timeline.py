"""Timelines of what the units did, as Chrome trace JSON: https://ui.perfetto.dev opens it."""

import json

from host.files import replacing
from rtl.spec.isa import Unit


__all__ = ["UNITS", "spans", "write"]


# Bits of the accelerator's port `activity`.
UNITS = ("sequencer", *(unit.name.lower() for unit in Unit))


def spans(transitions, end, units=UNITS):
    """Yield (unit, first cycle, cycles) of each stretch of activity.

    Parameters
    ----------
    transitions : sequence of (cycle, bits)
        From this cycle on these units are active, bit n being `units[n]`.
    end : :class:`int`
        Cycle at which the recording ends.
    """
    since = {}
    for cycle, bits in [*((int(c), int(b)) for c, b in transitions), (end, 0)]:
        for n, unit in enumerate(units):
            if bits >> n & 1:
                since.setdefault(unit, cycle)
            elif unit in since:
                start = since.pop(unit)
                if cycle > start:
                    yield unit, start, cycle - start


def write(
    path, transitions, end, *, clock_mhz, name="accelerator", units=UNITS, nodes=(), bandwidth=()
):
    """Write a timeline, all of it or nothing; :func:`spans` describes the arguments.

    `nodes` has a :class:`~sim.fpga.nodes.Span` for each stretch in which a unit was at a node,
    which get a track for each unit.
    `bandwidth` has (cycle, bytes per second by client) from that cycle on, which become a track of
    its own in GB/s. Times are in simulated time.
    """
    micros = 1 / clock_mhz
    events = [{"ph": "M", "pid": 1, "name": "process_name", "args": {"name": name}}]
    for n, unit in enumerate(units):
        events += [
            {"ph": "M", "pid": 1, "tid": n, "name": "thread_name", "args": {"name": unit}},
            {"ph": "M", "pid": 1, "tid": n, "name": "thread_sort_index", "args": {"sort_index": n}},
        ]

    def span(tid, name, start, length):
        return {
            "ph": "X",
            "pid": 1,
            "tid": tid,
            "name": name,
            "ts": start * micros,
            "dur": length * micros,
            "args": {"cycle": start, "cycles": length},
        }

    events += [
        span(units.index(unit), unit, start, length)
        for unit, start, length in spans(transitions, end, units)
    ]
    tracks = {}
    for its in nodes:
        tid = tracks.setdefault(its.unit, len(units) + units.index(its.unit))
        events.append(span(tid, its.name, its.start, its.cycles))
    events += [
        {"ph": "M", "pid": 1, "tid": tid, "name": "thread_name", "args": {"name": f"{unit}: nodes"}}
        for unit, tid in tracks.items()
    ]
    events += [
        {
            "ph": "C",
            "pid": 1,
            "name": "bandwidth, GB/s",
            "ts": cycle * micros,
            "args": {client: round(rate / 1e9, 4) for client, rate in rates.items()},
        }
        for cycle, rates in bandwidth
    ]
    with replacing(path) as partial, open(partial, "w") as file:
        json.dump({"traceEvents": events, "displayTimeUnit": "ns"}, file)
