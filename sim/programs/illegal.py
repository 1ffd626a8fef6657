"""Programs with a mistake: refused, or the same on both machines; and the accelerator stays unharmed.

What the functional machine accepts must give the same on the accelerator. What it refuses runs on the
accelerator all the same: it ends or faults, writes nowhere but where it may, and the next program runs
as if nothing had been.
"""

from collections import Counter
from dataclasses import dataclass, replace

import numpy as np

from host.device import DeviceFault
from host.progress import progress, steps
from rtl.config import UNIT_BYTES
from rtl.isa import Loop, Source, decode
from sw_ref.legal import IllegalProgram

from ..fpga.device import SimDevice
from ..functional import ModelDevice
from .compare import Difference, Pair, Refused
from .mistakes import mutant


__all__ = ["Illegal", "Mutant", "command"]


WATCHDOG = 20_000
LIMIT = 2_000_000   # cycles, of which no program with so few rounds takes more than a part
ROUNDS = 31         # of a loop: with more, a program may well take days, and be legal
LAST = max(source.value for source in Source)   # beyond it there is none


@dataclass(frozen=True)
class Mutant:
    """A program with one mistake, and the step that it is for; `what` says which."""
    words: tuple
    what: str
    tokens: list
    position: int
    head: bool

    @classmethod
    def of(cls, program, seed):
        """A :class:`~.generator.Program` with a mistake that `seed` chooses."""
        words, what = mutant(program.insns, seed)
        return cls(tuple(map(_few_rounds, words)), what, program.tokens, program.position, program.head)


def _few_rounds(word):
    """A word, or a loop like it that goes round few times."""
    try:
        insn = decode(word)
    except ValueError:
        return word
    if not isinstance(insn, Loop):
        return word
    # What a register, or the host, adds may be anything.
    source = Source.COLUMNS.value if 0 < insn.source <= LAST else insn.source
    return replace(insn, count=insn.count & ROUNDS, source=source).encode()


def _limited(cycles):
    if cycles > LIMIT:
        raise Difference(f"the accelerator has not ended after {LIMIT} cycles")


class Illegal:
    """Tries mutants; a context manager.

    Parameters
    ----------
    pair : :class:`~.compare.Pair`
        What compares a program that is accepted.

    Attributes
    ----------
    rules : :class:`~collections.Counter`
        Mutants that were refused, by rule; those that were accepted under None.
    ends : :class:`~collections.Counter`
        How the accelerator ended what was refused: "done", or a fault's name.
    """
    def __init__(self, pair):
        self.pair, self.rules, self.ends = pair, Counter(), Counter()
        self.sim = SimDevice(pair.config, watchdog=WATCHDOG, progress=_limited)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.close()

    def run(self, world, program, wrong):
        """Try a :class:`Mutant` of a program, which is legal. Raises :exc:`Difference`."""
        try:
            self.pair.compare(world, wrong)
        except Refused as error:
            self.rules[_rule(error)] += 1
        else:
            self.rules[None] += 1
            return
        self.ends[self._harmless(world, wrong)] += 1
        self._good(world, program)

    def _harmless(self, world, wrong):
        """Run what is refused; returns how it ends."""
        image = world.image(wrong.words)
        self.sim.load(image)
        try:
            self.sim.step(wrong.tokens, wrong.position, wrong.head)
            end = "done"
        except DeviceFault as fault:
            end = getattr(fault.code, "name", f"fault {fault.code}")
        first, after = (UNIT_BYTES * unit for unit in image.writable)
        different = np.flatnonzero(self.sim.memory != image.dram())
        outside = different[(different < first) | (different >= after)]
        if outside.size:
            raise Difference(f"the accelerator writes outside of what it may, in unit {outside[0] // UNIT_BYTES}")
        return end

    def _good(self, world, program):
        """Run the legal program at once, on the accelerator that the mutant has left."""
        image, model = world.image(program.words), ModelDevice(self.pair.config)
        step = program.tokens, program.position, program.head
        model.load(image)
        want = model.step(*step)
        self.sim.set("CONTROL", 2)
        self.sim.memory[:] = image.dram()
        self.sim.set("LENGTH", image.length)
        self.sim.image = image
        try:
            got = self.sim.step(*step)
        except (DeviceFault, Difference) as error:
            raise Difference(f"a good program stops after it: {error}") from error
        if got.ids.tolist() != want.ids.tolist() or got.logits.tobytes() != want.logits.tobytes() or \
                (self.sim.memory != model.machine.memory).any():
            raise Difference("a good program computes something else after it")


def _rule(error):
    """The rule of :mod:`rtl.rules` that a refused program breaks."""
    cause = error.__cause__.__cause__
    if not isinstance(cause, IllegalProgram):
        raise Difference(f"refused without the name of a rule: {error}")
    return cause.rule


def _counts(counter):
    return ", ".join(f"{name} {n}" for name, n in sorted(counter.items(), key=lambda each: -each[1]))


def command(config, count, seed, programs):
    """Try a mutant of each of `count` of the `programs`, and print what came of them; returns the exit code."""
    failures = 0
    with steps(f"building the simulated FPGA, once ({config.name})") as step:
        pair = Pair(config, build_progress=step)
    with pair, Illegal(pair) as illegal, progress("programs with a mistake") as report:
        for n, world, program in programs(config, seed, count):
            report(n, count)
            wrong = Mutant.of(program, f"mistake {seed} {n}")
            try:
                illegal.run(world, program, wrong)
            except Difference as difference:
                failures += 1
                print(f"program {n}, {wrong.what}; tokens {wrong.tokens}, position {wrong.position}, "
                      f"head {int(wrong.head)}: {difference}", flush=True)
    refused = {rule: n for rule, n in illegal.rules.items() if rule}
    print(f"{illegal.rules[None]} accepted, {sum(refused.values())} refused: {_counts(refused)}")
    print(f"ends of what was refused: {_counts(illegal.ends)}")
    print(f"{count - failures} passed, {failures} failed")
    return 1 if failures else 0
