"""Programs with a mistake: refused, or the same on both machines; and the accelerator stays
unharmed.

What the functional machine accepts must give the same on the accelerator. What it refuses runs on
the accelerator all the same: it ends or faults, writes nowhere but where it may, and the next
program runs as if nothing had been. A loop may take days, though: as long as units begin and end
something, it is no hang, and the host stops it.
"""

from collections import Counter
from dataclasses import dataclass
from random import Random

import numpy as np

from host.device import DeviceError, DeviceFault
from host.progress import progress, steps
from rtl.spec.config import UNIT_BYTES
from rtl.spec.csr import FaultCode
from rtl.spec.isa import Scalar
from sw_ref.legal import IllegalProgram

from ..fpga.device import SimDevice
from ..functional import ModelDevice
from .compare import Difference, Pair, Refused
from .mistakes import damage, mutant


__all__ = ["Illegal", "Mutant", "try_all"]


ON = "went on"
WATCHDOG = 40_000  # more than EMBED takes for the longest row, a result a cycle
DAMAGED = 0.2  # how often it is a descriptor that has the mistake
LIMIT = 2_000_000  # cycles: far more than a legal program takes


@dataclass(frozen=True)
class Mutant:
    """A program with one mistake, and the step that it is for; `what` says which. Or a legal one,
    with bits of DRAM that differ, of a descriptor.
    """

    words: tuple
    what: str
    tokens: list
    position: int
    head: bool
    bits: tuple = ()

    @classmethod
    def of(cls, program, seed):
        """A :class:`~.generator.Program` with a mistake that `seed` chooses."""
        # A mistake needs two instructions.
        words, what = mutant(
            program.insns if len(program.insns) > 1 else (Scalar(), *program.insns), seed
        )
        return cls(tuple(words), what, program.tokens, program.position, program.head)

    @classmethod
    def any(cls, world, program, seed):
        """One of :meth:`of`, or, if the program meets a descriptor, a damaged one."""
        bits = damage(world, program, seed) if Random(seed).random() < DAMAGED else ()
        if not bits:
            return cls.of(program, seed)
        what = f"bits {', '.join(map(str, sorted(bits)))} of DRAM"
        step = program.tokens, program.position, program.head
        return cls(tuple(program.words), what, *step, bits)


class _Endless(KeyboardInterrupt):
    """As if someone pressed Ctrl-C: the host resets the accelerator."""


class Illegal:
    """Tries mutants; a context manager.

    Parameters
    ----------
    pair : :class:`~.compare.Pair`
        What compares a program that is accepted.

    Attributes
    ----------
    rules : :class:`~collections.Counter`
        Mutants that were refused, by rule; those that were accepted under None. Neither was tried
        of those that went on.
    ends : :class:`~collections.Counter`
        How the accelerator ended what was not accepted: "done", a fault's name, or it "went on".
    """

    def __init__(self, pair):
        self.pair, self.rules, self.ends, self.fault = pair, Counter(), Counter(), None
        self.sim = SimDevice(pair.config, watchdog=WATCHDOG, progress=self._limited, record=True)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.close()

    def run(self, world, program, wrong):
        """Try a :class:`Mutant` of a program, which is legal. Raises :exc:`Difference`."""
        # First, because the functional machine would take days as well.
        changed = world.damaged(wrong.bits) if wrong.bits else world
        end = self._harmless(changed, wrong)
        if end != ON:
            try:
                self.pair.compare(changed, wrong)
            except Refused as error:
                self.rules[_rule(error)] += 1
                if wrong.bits:
                    self._same_fault(error, end)
            else:
                self.rules[None] += 1
                return
        self.ends[end] += 1
        self._good(world, program)

    def _same_fault(self, error, end):
        """See that a damaged descriptor stops both machines at the same instruction."""
        if _rule(error) not in ("descriptor", "format"):
            return
        if end != FaultCode.DESCRIPTOR.name or f"Instruction {self.fault.pc} " not in str(error):
            raise Difference(f"the accelerator ends otherwise, {end} at {self.fault}: {error}")

    def _limited(self, cycles):
        """See that a step ends, or goes on."""
        if cycles > LIMIT:
            if self.sim.cycles - int(self.sim.transitions()[-1][0]) > 2 * WATCHDOG:
                raise Difference(
                    f"the accelerator has not ended after {LIMIT} cycles, and does nothing"
                )
            raise _Endless

    def _harmless(self, world, wrong):
        """Run a mutant on the accelerator alone; returns how it ends."""
        image = world.image(wrong.words)
        self.sim.load(image)
        try:
            self.sim.step(wrong.tokens, wrong.position, wrong.head)
            end = "done"
        except DeviceFault as fault:
            self.fault = fault
            end = getattr(fault.code, "name", f"fault {fault.code}")
        except DeviceError as error:
            raise Difference(f"the accelerator stops: {error}") from error
        except _Endless:
            end = ON
        first, after = (UNIT_BYTES * unit for unit in image.writable)
        different = np.flatnonzero(self.sim.memory != image.dram())
        outside = different[(different < first) | (different >= after)]
        if outside.size:
            raise Difference(
                f"the accelerator writes outside of what it may, in unit {outside[0] // UNIT_BYTES}"
            )
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
        except (DeviceError, Difference, _Endless) as error:
            raise Difference(f"a good program stops after it: {error}") from error
        if (
            got.ids.tolist() != want.ids.tolist()
            or got.logits.tobytes() != want.logits.tobytes()
            or (self.sim.memory != model.machine.memory).any()
            or self.sim.vector().tobytes() != model.machine.vector.tobytes()
        ):
            raise Difference("a good program computes something else after it")


def _rule(error):
    """The rule of :mod:`rtl.spec.rules` that a refused program breaks."""
    cause = error.__cause__.__cause__
    if not isinstance(cause, IllegalProgram):
        raise Difference(f"refused without the name of a rule: {error}")
    return cause.rule


def _counts(counter):
    return ", ".join(
        f"{name} {n}" for name, n in sorted(counter.items(), key=lambda each: -each[1])
    )


def try_all(config, count, seed, programs):
    """Try a mutant of each of `count` of the `programs`, and print what came of them. Returns how
    many failed.
    """
    failures = 0
    with steps(f"building the simulated FPGA, once ({config.name})") as step:
        pair = Pair(config, build_progress=step)
    with pair, Illegal(pair) as illegal, progress("programs with a mistake") as report:
        for n, world, program in programs(config, seed, count):
            report(n, count)
            wrong = Mutant.any(world, program, f"mistake {seed} {n}")
            try:
                illegal.run(world, program, wrong)
            except Difference as difference:
                failures += 1
                print(
                    f"program {n}, {wrong.what}; tokens {wrong.tokens}, position {wrong.position}, "
                    f"head {int(wrong.head)}: {difference}",
                    flush=True,
                )
    refused = {rule: n for rule, n in illegal.rules.items() if rule}
    print(f"{illegal.rules[None]} accepted, {sum(refused.values())} refused: {_counts(refused)}")
    print(f"ends of what was not accepted: {_counts(illegal.ends)}")
    return failures
