"""What limits a step, and the figures that this follows from."""

from collections.abc import Mapping
from dataclasses import dataclass


__all__ = ["Limit", "limit"]


BUSY = 0.94  # of the memory's clocks in use, and nothing but the memory limits
STALLS = {
    "refreshing": "refresh",
    "opening": "row misses",
    "turning": "turnarounds",
    "spacing": "bank groups",
}
NAMES = {"vector": "the vector unit", "attention": "attention", "load": "loads of vectors"}


@dataclass(frozen=True)
class Limit:
    """What limits, in a few words, and why, in a sentence."""

    what: str
    why: str


def limit(counts: Mapping) -> Limit:
    """What limits a step, of its counts (:func:`sim.profiling.step_counts`).

    The memory does where it is in use for `BUSY` of its clocks. Else it is what takes most of the
    cycles that are no beat of weights: the linear core beyond a cycle a beat, weights that come
    late, or the unit that was at work while LINEAR was not. LINEAR's results wait while VECTOR
    writes, which comes first, so those cycles are VECTOR's.
    """
    clocks = counts["dram", "clocks"]
    used = 1 - counts["dram", "idle"] / clocks
    if used >= BUSY:
        return _memory(counts, used)
    cycles, linear = counts["cycles",], _linear(counts)
    lost = {
        "the linear core": linear["working"] - counts["beats", "weight"],
        "latency of the memory": linear["starved"] - cycles * _stalled(counts) / clocks,
    }
    for unit, name in NAMES.items():
        lost[name] = sum(value for _, value in _nodes(counts, unit))
    lost[NAMES["vector"]] += linear["output"]
    lost["the program"] = counts["node", "sequencer", "program", "cycles"]
    what = max(lost, key=lambda name: lost[name])
    return Limit(what[0].upper() + what[1:], _why(counts, what, lost[what], used))


def _nodes(counts, unit):
    """(node, cycles) of a unit's nodes, those in which no other comes before it."""
    return [
        (key[2], value)
        for key, value in counts.items()
        if key[0] == "node" and key[1] == unit and key[-1] == "cycles"
    ]


def _linear(counts):
    """What LINEAR did in the cycles in which it was busy."""
    return {key[2]: value for key, value in counts.items() if key[:2] == ("unit", "linear")}


def _stalled(counts):
    return sum(counts["dram", name] for name in STALLS)


def _memory(counts, used):
    clocks = counts["dram", "clocks"]
    shares = {name: counts["dram", of] / clocks for of, name in STALLS.items()}
    most = [name for name in sorted(shares, key=lambda name: -shares[name]) if shares[name] > 0.001]
    what = f"DRAM: {' and '.join(most[:2])}" if most else "Memory: every cycle brings a beat"
    parts = [f"{100 * shares[name]:.1f} % {name}" for name in most]
    moves = f"{100 * counts['dram', 'data'] / clocks:.1f} % move data"
    idle = f"{100 * (1 - used):.1f} % nobody asks for any"
    return Limit(what, f"Of the memory's clocks {', '.join([moves, *parts, idle])}.")


def _why(counts, what, lost, used):
    cycles, linear = counts["cycles",], _linear(counts)
    share = f"{100 * lost / cycles:.1f} % of the cycles"
    asked = f"the memory is in use for {100 * used:.1f} % of its clocks"
    if what == "the linear core":
        beats = counts["beats", "weight"]
        rate = linear["working"] / max(beats, 1)
        return f"LINEAR works {rate:.2f} cycles a beat of weights, which costs {share}; {asked}."
    unit = next((unit for unit, name in NAMES.items() if name == what), None)
    if unit is not None:
        return f"{_waits(counts, unit)}; {asked}."
    return {
        "latency of the memory": f"LINEAR waits for weights in {share} in which the memory does "
        f"not stall; {asked}.",
        "the program": f"No unit is at a node in {share}: the program is fetched, or the sequencer "
        f"is behind; {asked}.",
    }[what]


def _waits(counts, unit):
    """How LINEAR waits for a unit."""
    cycles, linear, nodes = counts["cycles",], _linear(counts), _nodes(counts, unit)
    node, most = max(nodes, key=lambda item: item[1], default=("", 0))
    idle = sum(value for _, value in nodes)
    parts = [
        f"LINEAR is idle while {unit.upper()} works in {100 * idle / cycles:.1f} % of the cycles",
        f"most in {node} ({100 * most / cycles:.1f} %)",
    ]
    if unit == "vector":
        parts.append(
            f"its results wait for VECTOR's writes in {100 * linear['output'] / cycles:.1f} %"
        )
    parts.append(f"in all it waits for tokens in {100 * linear['token'] / cycles:.1f} %")
    return ", ".join(parts)
