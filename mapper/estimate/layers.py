"""The rounds of a program's loop over the layers."""

from itertools import groupby

from .program import Dispatched


__all__ = ["first_rounds", "rounds", "weight_cycles"]


def rounds(program: list[Dispatched]) -> list[range]:
    """Places in the program of the rounds of the loop with the most instructions."""
    found: list[list[range]] = []
    before, at = None, 0
    for _, group in groupby(program, key=lambda its: its.round):
        body = [its.pc for its in group]
        here = range(at, at + len(body))
        at += len(body)
        if body == before:
            found[-1].append(here)
        else:
            found.append([here])
        before = body
    return max(found, key=lambda loop: (len(loop) > 1, sum(map(len, loop))))


def first_rounds(program: list[Dispatched], layers: list[range], count: int) -> list[Dispatched]:
    """The program without the rounds behind the first `count`."""
    return program[: layers[count - 1].stop] + program[layers[-1].stop :]


def weight_cycles(program: list[Dispatched], layer: range) -> float:
    """Cycles of the linear unit's front for a round's weights."""
    return sum(its.work.cycles for its in program[layer.start : layer.stop] if its.work) or 1.0
