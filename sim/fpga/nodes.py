"""What units are at: the nodes of the model's graph that their instructions are for.

A unit takes its instructions in the order in which the sequencer dispatches them, so the nth that
left its queue is the nth that a run without hardware dispatches.
"""

from dataclasses import dataclass

from rtl.spec.isa import Sync, Unit
from sw_ref.accesses import unit_of
from sw_ref.checks import Bounds
from sw_ref.legal import decoded
from sw_ref.sequencer import Sequencer


__all__ = ["Stepped", "node_spans"]


@dataclass(frozen=True)
class Stepped:
    """A step of a device, and the cycle before which it began."""

    cycle: int
    tokens: tuple
    position: int
    head: bool


def _dispatched(image, config, step):
    """Names of the nodes of what each unit gets, in order; None for a Sync, which is no work."""
    insns = decoded(tuple(image.instructions), config.program_words)
    sequencer = Sequencer(
        insns, Bounds(config, image.memory_units, *image.writable), len(step.tokens)
    )
    names = {unit.value: [] for unit in Unit}
    for pc, insn in sequencer.run(step.tokens, step.position, step.head):
        names[unit_of(insn)].append(None if isinstance(insn, Sync) else image.node(pc))
    return names


def _runs(names, cycles):
    """Yield (name, first cycle, cycle of what comes next) of instructions that are for one node."""
    start = 0
    for n in range(1, len(cycles) + 1):
        if n == len(cycles) or names[n] != names[start]:
            if names[start] is not None:
                yield names[start], cycles[start], cycles[n] if n < len(cycles) else None
            start = n


def node_spans(image, config, steps, takings, transitions, end):
    """Yield (unit, node, first cycle, cycles) of what units were at.

    Parameters
    ----------
    steps : list of :class:`Stepped`
    takings : sequence of (cycle, unit)
        When an instruction left the unit's queue, as :class:`~rtl.spec.isa.Unit` numbers it.
    transitions : sequence of (cycle, bits)
        Activity of units, bit n of unit n.
    end : :class:`int`
        Cycle at which the recording ends.
    """
    if image is None or not image.nodes:
        return
    for step, until in zip(steps, [*(s.cycle for s in steps[1:]), end]):
        names = _dispatched(image, config, step)
        for unit in Unit:
            number = unit.value
            cycles = [
                int(cycle)
                for cycle, who in takings
                if who == number and step.cycle <= cycle < until
            ]
            falls = _falls(transitions, number, end)
            # A step that was interrupted took fewer.
            for name, first, after in _runs(names[number][: len(cycles)], cycles):
                last = max(
                    (fall for fall in falls if first < fall <= (after or until)),
                    default=after or until,
                )
                yield unit.name.lower(), name, first, last - first


def _falls(transitions, number, end):
    """Cycles at which a unit came to rest."""
    falls, before = [], 0
    for cycle, bits in transitions:
        active = int(bits) >> number & 1
        if before and not active:
            falls.append(int(cycle))
        before = active
    return [*falls, end] if before else falls
