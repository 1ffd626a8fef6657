"""Runs a case on the simulated FPGA and on the functional machine, and compares all they leave."""

import numpy as np

from host.device import DeviceError
from rtl.spec.config import UNIT_BYTES

from ..fpga.build import accelerator_library
from ..fpga.device import SimDevice
from ..functional import ModelDevice
from ..programs.compare import Difference


__all__ = ["Pair"]


CYCLES = 20_000_000  # of a step, none of which takes a tenth of that
WATCHDOG = 200_000  # a memory bus that pauses at random has an instruction take long


def _limited(cycles):
    if cycles > CYCLES:
        raise Difference(f"the accelerator has not ended after {cycles} cycles")


def _first(name, got, want):
    """Raise :exc:`Difference` for the first place where two arrays differ."""
    if len(got) != len(want):
        raise Difference(f"{len(got)} best {name} instead of {len(want)}")
    for n in np.flatnonzero(got != want)[:1]:
        raise Difference(
            f"the best logits' {name} differ: number {n} is {got[n]:#x} instead of {want[n]:#x}"
        )


class Pair:
    """Both devices of a configuration.

    Parameters
    ----------
    config : :class:`~rtl.spec.config.Config`
    build_progress : callable or None
        Called with a line of text before each long step of building the simulated FPGA.
    library : path or None
        See :class:`~sim.fpga.device.SimDevice`.
    record : :class:`bool`
        See :class:`~sim.fpga.device.SimDevice`.
    """

    def __init__(self, config, build_progress=None, library=None, record=False):
        self.config, self.record = config, record
        self.library = library or accelerator_library(config, progress=build_progress)

    def device(self, dram):
        """The accelerator, in front of a :class:`~rtl.spec.dram.Dram`."""
        return SimDevice(
            self.config,
            library=self.library,
            memory=dram,
            record=self.record,
            watchdog=WATCHDOG,
            progress=_limited,
        )

    def compare(self, case, image, after=lambda sim, step, answer: None):
        """Run a :class:`~.case.Case`. Raises :exc:`~sim.programs.compare.Difference`, which names
        the step and what differs.

        After each step that is equal, `after` is called with the simulated FPGA, the
        :class:`~.case.Step`, and what came of it.
        """
        model = ModelDevice(self.config)
        with self.device(case.dram) as sim:
            for device in sim, model:
                device.load(image)
            for n, step in enumerate(case.steps):
                try:
                    answer = self._step(sim, model, image, step)
                except (Difference, DeviceError) as error:
                    raise Difference(
                        f"step {n}, {len(step.tokens)} tokens at position {step.position}: {error}"
                    ) from error
                after(sim, step, answer)

    def _step(self, sim, model, image, step):
        want = model.step(step.tokens, step.position, step.head)
        got = sim.step(step.tokens, step.position, step.head)
        _first("ids", got.ids, want.ids)
        _first("values", got.logits.view(np.uint32), want.logits.view(np.uint32))
        different = np.flatnonzero(sim.memory != model.machine.memory)
        if different.size:
            unit, (first, end) = different[0] // UNIT_BYTES, image.writable
            block, within = divmod(unit - first, self.config.kv_block_units)
            where = (
                f"unit {within} of block {block} of the KV cache"
                if first <= unit < end
                else f"unit {unit}, which nothing may write"
            )
            raise Difference(f"DRAM differs in {different.size} bytes, from {where} on")
        different = np.flatnonzero(
            sim.vector().view(np.uint32) != model.machine.vector.view(np.uint32)
        )
        if different.size:
            raise Difference(
                f"the vector memory differs in {different.size} words, from {different[0]} on"
            )
        return got
