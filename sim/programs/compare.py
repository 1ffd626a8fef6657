"""Runs programs on the simulated FPGA and on the functional machine, and compares all they leave."""

import numpy as np

from host.device import DeviceError
from ..fpga.device import SimDevice
from ..functional import ModelDevice


__all__ = ["Pair", "Difference", "Refused"]


CYCLES = 2_000_000    # of a program: far more than any takes
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
    config : :class:`~rtl.config.Config`
    coverage : :class:`~.coverage.Coverage` or None
        Is told what is executed.
    build_progress : callable or None
    checked : :class:`bool`
        See :class:`~sim.fpga.device.SimDevice`.
    """
    def __init__(self, config, coverage=None, build_progress=None, checked=False):
        self.config, self.coverage = config, coverage
        self.sim = SimDevice(config, watchdog=WATCHDOG, progress=_limited, checked=checked,
                             build_progress=build_progress)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.sim.close()

    def compare(self, world, program):
        """Run a :class:`~.generator.Program`. Raises :exc:`Difference`; returns the cycles it took."""
        image, model = world.image(program.words), ModelDevice(self.config)
        step = program.tokens, program.position, program.head
        if self.coverage is not None:
            model.trace = lambda pc, insn: self.coverage.executed(insn, len(program.tokens))
        try:
            model.load(image)
            want = model.step(*step)
        except DeviceError as error:
            raise Refused(f"the functional machine refuses it: {error}") from error
        self.sim.load(image)
        try:
            got = self.sim.step(*step)
        except DeviceError as error:
            raise Difference(f"the accelerator stops: {error}") from error
        if got.ids.tolist() != want.ids.tolist():
            raise Difference("the best logits' ids differ")
        if not np.array_equal(got.logits.view(np.uint32), want.logits.view(np.uint32)):
            raise Difference("the best logits differ")
        different = np.flatnonzero(self.sim.memory != model.machine.memory)
        if different.size:
            unit = different[0] // 64
            where = "the vector memory" if unit >= world.cache[1] else "DRAM"
            raise Difference(f"{where} differs, in {different.size} bytes, from unit {unit} on")
        return got.cycles
