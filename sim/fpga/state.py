"""Internal state of the simulated accelerator, for tests that compare it.

Verilator keeps memories and registers as they are. So they are read where they lie, between cycles,
and a simulation that nobody looks into is as fast as before. A name that is no longer there fails
the harness's compilation.
"""

from rtl.spec.isa import Unit
from rtl.spec.limits import TOKEN_COUNTERS


__all__ = ["arrays", "counters", "header", "takers"]


def arrays(config):
    """Memories of a configuration: name to place in the hierarchy.

    `vector` has a line of `lanes` words an entry. `activations0` and so on, of each column, have an
    entry a group: its exponent in bits 7:0, and the sum of its 32 values, signed, in bits 20:8.
    """
    return {
        "vector": "core.memory.copy_a.words",
        **{f"activations{n}": f"core.linear.front.buffer.infos{n}" for n in range(config.columns)},
    }


def counters(config):
    """Counters of a configuration: name to place in the hierarchy.

    `load` and so on: instructions of a unit's queue in the store: the oldest has a register of its
    own. `prefetch`: beats of weights in their buffer. `token1` and so on: tokens that wait.
    """
    queues = {unit.name.lower(): f"core.store.level{n}" for n, unit in enumerate(Unit)}
    return queues | {
        "prefetch": "core.reader.buffer0.level",
        **{f"token{n}": f"core.tokens.counts[{n}]" for n in range(1, TOKEN_COUNTERS)},
    }


def takers(config):
    """Signals of the units' queues, in the order of :class:`~rtl.spec.isa.Unit`: name to place in
    the hierarchy. Each is 1 in the cycles in which an instruction leaves."""
    return {name: f"core.{name}_queue.taken" for name in (u.name.lower() for u in Unit)}


def _member(place):
    return "__DOT__".join(["accelerator", *place.split(".")])


def header(config):
    """C++ that `harness.cpp` includes. Of a None, there is nothing to see."""
    parts = {
        "ARRAYS": {} if config is None else arrays(config),
        "COUNTERS": {} if config is None else counters(config),
        "TAKERS": {} if config is None else takers(config),
    }
    return "".join(
        f"#define {macro}(X){''.join(f' X({name}, {_member(at)})' for name, at in table.items())}\n"
        for macro, table in parts.items()
    )
