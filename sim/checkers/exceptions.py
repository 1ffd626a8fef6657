"""What the checkers cannot see of a port: which streams may do what others may not, what a `busy`
announces, and what an AXI port may do at most."""

from amaranth import Cat, Const, Mux, Value

from rtl.memory.reader import MemoryReader
from rtl.memory.writer import MemoryWriter
from rtl.spec.limits import MAX_OUTSTANDING
from rtl.top import Accelerator


__all__ = ["MAY_FALL", "ONLY_WHILE", "LOOSE", "BUSY", "announced", "limits_of"]


# Streams, as (class, port), that may be withdrawn, and why. Their payload stays the same until
# then.
STOPPED = "a stop takes back what is on offer, and a reset follows"
MAY_FALL = {
    ("UnitQueue", "o"): STOPPED,
    **{
        (unit, "insn"): STOPPED
        for unit in ("LoadUnit", "StreamUnit", "LinearUnit", "VectorUnit", "AttentionUnit")
    },
    (
        "LinearPipeline",
        "command",
    ): "a MATMUL waits for its descriptor as long as its queue offers it",
    (
        "Executor",
        "bytes",
    ): "a request that is answered early, or given up, leaves bytes that nobody wants",
    ("MemoryPort", "bytes"): "they come from the executor",
    ("Executor", "access"): "a request to a bus that does not answer is given up",
    ("Executor", "area"): "the same, to memory",
    ("RegisterPort", "i"): "it comes from the executor",
    ("MemoryPort", "i"): "it comes from the executor",
    ("WeightUnpacker", "command"): "waits while steps of the matrix before are under way behind it",
    (
        "BlockWalker",
        "beats",
    ): "a step without a beat may end a block: the beat on offer is the next one's",
    (
        "RowScaler",
        "row_scales",
    ): "those of the next matrix are on offer to where this one's go, until it is done",
    ("Embedder", "row_scales"): "those of the next matrix, likewise",
}

# Those of them that may be withdrawn only while a member of their component is high.
ONLY_WHILE = {("UnitQueue", "o"): "stop"}


def _codes_of_beats(step):
    """Without the codes of a step that no beat is for: they are whatever the bus has."""
    if "spare" not in step.shape().members:  # there is none
        return step.as_value()
    rest = [step[name] for name, _ in step.shape() if name != "codes"]
    return Cat(*rest, Mux(step.spare, 0, Value.cast(step.codes)))


# Streams of whose payload a part may change, and what of it must not.
LOOSE = {
    ("BlockWalker", "o"): _codes_of_beats,
    ("TritDecoder", "i"): _codes_of_beats,
    # A line does not wait: a byte that is not taken before the next one is lost.
    ("UartReceiver", "o"): lambda p: Const(0),
    ("Uart", "o"): lambda p: Const(0),  # the same, in its bench
}

# What `busy` announces: streams whose payloads have not been taken, and the cycles in which it
# stays high after the last of them. A line that was taken can be read from the vector memory two
# cycles later, and a queue gives its token when `busy` is low.
BUSY = {
    "LoadUnit": (("req", "write"), 1),
    "StreamUnit": (("req",), 0),
    "LinearUnit": (("write",), 1),
    "VectorUnit": (("write", "act", "query", "kv"), 0),
    "AttentionUnit": (("write", "line"), 1),
    "AttentionOutput": (("write",), 0),
    "KvAppend": (("line",), 0),
    "Combiner": (("o",), 0),
    "Expander": (("o",), 0),
    "Fetch": (("req",), 0),
}


def announced(component):
    """Streams that its `busy` announces, and the cycles after; None for none."""
    if getattr(component, "latency", None) == 0:  # wires, which are never busy
        return None
    # The checkers' own bench says itself what it announces.
    return BUSY.get(type(component).__name__, getattr(component, "announced", None))


def limits_of(component, port, kind):
    """Parameters of the checker of one direction, "read" or "write", of an AXI4 port.

    A component of this project's own issues bursts of whole beats alone, and declares what may be
    outstanding. What passes a manager's bursts on has no such limits.
    """
    match component, kind:
        case MemoryReader(), "read":
            return {"WHOLE": 1, "MOST": sum(component.depths)}
        case ((MemoryWriter() | Accelerator()), "write"):
            return {"WHOLE": 1, "MOST": MAX_OUTSTANDING}
        case Accelerator(), "read":
            return {"WHOLE": 1}
    return getattr(component, "limits", {}).get(kind, {})  # of the checkers' own bench
