"""Runs programs on the simulated FPGA and on the functional machine, and compares all they
leave.
"""

import numpy as np

from host.device import DeviceError
from rtl.spec.isa import MatMul, Stream
from sw_ref.weight_stream import WeightStream

from ..fpga.device import SimDevice
from ..functional import ModelDevice
from .maxima import Maxima


__all__ = ["Pair", "Difference", "Refused"]


CYCLES = 20_000_000  # of a program: more than any takes; a hang ends sooner, by the watchdog
WATCHDOG = 50_000


class Difference(Exception):
    """The accelerator and the functional machine do not agree."""


class Refused(Difference):
    """The functional machine refuses the program: it is not legal."""


def _limited(cycles):
    if cycles > CYCLES:
        raise Difference(f"the accelerator has not ended after {cycles} cycles")


class Pair:
    """Both devices of a configuration; a context manager.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    coverage : :class:`~.coverage.Coverage` or None
        Is told what is executed.
    library, build_progress, checked
        See :class:`~sim.fpga.device.SimDevice`.
    """

    def __init__(self, config, coverage=None, build_progress=None, library=None, checked=False):
        self.config, self.coverage = config, coverage
        self.sim = SimDevice(
            config,
            library=library,
            watchdog=WATCHDOG,
            progress=_limited,
            record=coverage is not None,
            checked=checked,
            build_progress=build_progress,
        )

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.close()

    def compare(self, world, program):
        """Run a :class:`~.generator.Program`. Raises :exc:`Difference`; returns the cycles it
        took.
        """
        image, model = world.image(program.words), ModelDevice(self.config)
        step = program.tokens, program.position, program.head
        executed, formats, stream = [], [], WeightStream(self.config, image.memory)
        try:
            model.load(image)
            maxima = Maxima(model.machine)

            def trace(pc, insn):
                executed.append((pc, insn))
                maxima.follow(insn)
                if isinstance(insn, MatMul):
                    formats.append(stream.front().format.name)
                stream.follow(insn)

            model.trace = trace
            want = model.step(*step)
        except DeviceError as error:
            raise Refused(f"the functional machine refuses it: {error}") from error
        self.sim.load(image)
        try:
            got = self.sim.step(*step)
        except DeviceError as error:
            raise Difference(f"the accelerator stops: {error}") from error
        same_answer(got, want)
        same_state(self.sim, model.machine)
        plausible(self.config, got, executed, self.sim.cycles)
        if self.coverage is not None:
            self.coverage.ran(world, program, executed, formats, self.sim, maxima.grown)
        return got.cycles


def same_answer(got, want):
    """Compare the best logits of two steps. Raises :exc:`Difference`."""
    if got.ids.tolist() != want.ids.tolist():
        raise Difference("the best logits' ids differ")
    if not np.array_equal(got.logits.view(np.uint32), want.logits.view(np.uint32)):
        raise Difference("the best logits differ")


def _same(what, got, want):
    different = np.flatnonzero(got != want)
    if different.size:
        at = different[0]
        raise Difference(
            f"{what} differs in {different.size} places, from {at:#x} on: "
            f"{got[at]:#x}, not {want[at]:#x}"
        )


def same_state(sim, machine):
    """Compare all that a program leaves, bit by bit. Raises :exc:`Difference`.

    DRAM by bytes, the vector memory by words, and of each group of activations, of each column, the
    exponent and the sum.
    """
    _same("DRAM", sim.memory, machine.memory)
    _same("the vector memory", sim.vector().view(np.uint32), machine.vector.view(np.uint32))
    sums = machine.act.sum(2, dtype=np.int32) << 8 & 0x1FFFFF | machine.exponents
    for column, want in enumerate(sums):
        _same(
            f"the activations of column {column}",
            sim.array(f"activations{column}")[:, 0],
            want.astype(np.uint32),
        )


def plausible(config, got, executed, cycles):
    """Check what a step counted against what it executed. Raises :exc:`Difference`."""
    beats = config.unit_beats * sum(insn.size for _, insn in executed if isinstance(insn, Stream))
    if got.weight_beats != beats:
        raise Difference(f"WEIGHT_BEATS is {got.weight_beats}, not {beats}")
    least = max(beats, len(executed))
    if not least <= got.cycles <= cycles:
        raise Difference(f"CYCLES is {got.cycles}, not from {least} to {cycles}")
    for name, count in got.counts.items():
        if count > got.cycles:
            raise Difference(f"{name} is {count}, of {got.cycles} cycles")
