"""Verdicts on mutants of a component: `headrace mutate`.

A mutant passes when it is killed, or when it is proven that nothing can.
"""

from collections import Counter

from host.progress import progress, steps

from ..harness.build import BenchError, cases
from .netlist import draw
from .owners import owner, shares
from .prove import CONTRACT, EQUIVALENT, proof
from .run import Subject
from .top import TOP, TopNet


__all__ = ["of_bench", "of_top", "of_unit", "tally"]


KILLED, KILLED_BY_MODEL, SURVIVED = "killed", "killed by a model alone", "survived"


def of_bench(unit, count, seed, only=None):
    """Draw mutants of the files that a bench answers for; yield (number, mutant, verdict) of each.

    With a number `only`, no other is run.
    """
    before = 0  # mutants of the cases so far
    for case, files, number in owner(unit).drawn(count):
        subject = Subject(unit, case or next(iter(cases(unit))))
        mutants = draw(subject.netlist, [(files, number)], seed)
        chosen = {
            n: mutant for n, mutant in enumerate(mutants, 1) if only is None or n + before == only
        }
        if chosen:
            subject.insert(mutants)
            killed = subject.killed(chosen)
        for n, mutant in chosen.items():
            yield (
                n + before,
                mutant,
                KILLED if n in killed else proof(subject.mutated, mutant, n, unit) or SURVIVED,
            )
        before += len(mutants)


def of_top(config, count, seed, trials, only=None):
    """The same of a whole accelerator; a verdict names what kills a mutant: a program, or a
    model.
    """
    with steps(f"building the simulated FPGA, once ({config.name}-mutants)") as step:
        net = TopNet(config, count, seed, trials=trials, build_progress=step)
    if why := net.good():
        raise BenchError(f"without a mutant: {why}")
    numbers = range(1, len(net.mutants) + 1)
    for n, why in net.kills([n for n in numbers if only in (None, n)]):
        mutant = net.mutants[n - 1]
        by = why and (KILLED_BY_MODEL if why.startswith("model ") else KILLED)
        yield n, mutant, by or proof(net.mutated, mutant, n, TOP) or SURVIVED


def of_unit(unit, count, seed, only=None):
    """Yield (bench, count, its (number, mutant, verdict)s) of a bench, or of all in proportion to
    their lines.
    """
    given = shares(count) if unit == "all" else {unit: count}
    for name, number in given.items():
        if number:
            yield name, number, of_bench(name, number, seed, only)


def tally(found):
    """Print verdicts of :func:`of_unit` as they come, then what they are together. Returns how many
    survived.
    """
    all_found = Counter()
    for unit, count, mutants in found:
        of = Counter()
        with progress(f"mutants of {unit}") as report:
            for n, mutant, verdict in mutants:
                report(n, count)
                of[verdict] += 1
                if verdict not in (KILLED, KILLED_BY_MODEL):
                    print(f"{unit} {n} of {count}: {verdict}: {mutant}", flush=True)
        print(f"{unit}: {of[KILLED] + of[KILLED_BY_MODEL]} of {of.total()} killed", flush=True)
        all_found += of
    print(
        ", ".join(
            f"{all_found[verdict]} {verdict}"
            for verdict in (KILLED, KILLED_BY_MODEL, EQUIVALENT, CONTRACT, SURVIVED)
            if all_found[verdict] or verdict != KILLED_BY_MODEL
        )
    )
    print(f"{all_found.total() - all_found[SURVIVED]} passed, {all_found[SURVIVED]} failed")
    return all_found[SURVIVED]
