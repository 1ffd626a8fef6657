"""What units are at: the nodes of the model's graph that their instructions are for.

A unit takes its instructions in the order in which the sequencer dispatches them, so the nth that
left its queue is the nth of :func:`~.work.work_of`.
"""

from bisect import bisect_right
from dataclasses import dataclass

from rtl.spec.isa import Unit

from .work import Stepped, work_of


__all__ = ["Span", "Stepped", "node_spans"]


@dataclass(frozen=True)
class Span:
    """A stretch in which a unit is at a node.

    Attributes
    ----------
    unit : :class:`str`
    node : :class:`str`
        Name of the node, as the image has it.
    layer : :class:`int` or None
        Number of its layer, None outside of layers.
    start, cycles : :class:`int`
        First cycle, and how many.
    bytes : :class:`int`
        What the unit takes from memory in it, or writes.
    macs : :class:`int`
        Products of the model that it adds up.
    name : :class:`str`
        The node's name, with the number of its layer.
    """

    unit: str
    node: str
    layer: int | None
    start: int
    cycles: int
    bytes: int
    macs: int
    name: str


def _runs(work, cycles):
    """Yield (first cycle, cycle of what comes next, work) of instructions that are for one node.

    What comes next is an instruction: a Sync that only gives leaves LINEAR's queue early.
    """
    start = 0
    for n in range(1, len(cycles) + 1):
        if n == len(cycles) or not _same(work[start], work[n]):
            if work[start] is not None:
                after = (cycle for cycle, its in zip(cycles[n:], work[n:]) if its is not None)
                yield cycles[start], next(after, None), work[start:n]
            start = n


def _same(one, other):
    if one is None or other is None:
        return one is other
    return (one.node, one.layer) == (other.node, other.layer)


def node_spans(image, config, steps, takings, transitions, end):
    """Yield a :class:`Span` for each stretch in which a unit is at a node.

    Parameters
    ----------
    steps : list of :class:`~.work.Stepped`
    takings : sequence of (cycle, unit)
        When an instruction left the unit's queue, as :class:`~rtl.spec.isa.Unit` numbers it.
    transitions : sequence of (cycle, bits)
        Activity of units, bit n of unit n.
    end : :class:`int`
        Cycle at which the recording ends.
    """
    if image is None or not image.nodes:
        return
    falls = {unit: _falls(transitions, unit.value, end) for unit in Unit}
    for step, until in zip(steps, [*(s.cycle for s in steps[1:]), end]):
        work = work_of(image, config, step)
        for unit in Unit:
            number = unit.value
            cycles = [
                int(cycle)
                for cycle, who in takings
                if who == number and step.cycle <= cycle < until
            ]
            # A step that was interrupted took fewer.
            for first, after, done in _runs(work[number][: len(cycles)], cycles):
                last, its = _last(falls[unit], first, after or until), done[0]
                yield Span(
                    unit=unit.name.lower(),
                    node=its.node,
                    layer=its.layer,
                    start=first,
                    cycles=last - first,
                    bytes=sum(each.bytes for each in done),
                    macs=sum(each.macs for each in done),
                    name=its.name,
                )


def _last(falls, first, limit):
    """The last fall after `first` up to `limit`; `limit` if there is none."""
    at = bisect_right(falls, limit)
    return falls[at - 1] if at and falls[at - 1] > first else limit


def _falls(transitions, number, end):
    """Cycles at which a unit came to rest."""
    falls, before = [], 0
    for cycle, bits in transitions:
        active = int(bits) >> number & 1
        if before and not active:
            falls.append(int(cycle))
        before = active
    return [*falls, end] if before else falls
