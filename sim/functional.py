"""The functional machine as a device: the same images, at interactive speed, with no cycles."""

import numpy as np

from host.device import DeviceError, Step
from rtl.config import UNIT_BYTES
from sw_ref.machine import Machine


__all__ = ["ModelDevice"]


class ModelDevice:
    """Runs images on :class:`sw_ref.machine.Machine`; see :class:`host.device.Device`.

    Attributes
    ----------
    machine : :class:`~sw_ref.machine.Machine`
        Of the loaded image: its memories may be looked at, and `logits` after a step.
    trace : callable or None
        Passed to :meth:`sw_ref.machine.Machine.run`.
    """
    name = "model"

    def __init__(self, config, *, progress=None):
        self.config, self.progress = config, progress
        self.machine = self.image = self.trace = None

    def load(self, image):
        """Take an image; see :meth:`host.device.Device.load`."""
        if image.digest != self.config.digest:
            raise DeviceError(
                f"{self.name}: configuration {self.config.name!r} has digest {self.config.digest}, but "
                f"the image was compiled for {image.digest}. Compile the model for this configuration")
        memory = np.zeros(image.memory_units * UNIT_BYTES, np.uint8)
        memory[:len(image.memory)] = image.memory
        self.image, self.program = image, tuple(image.instructions)
        self.machine = Machine(self.config, memory)

    def step(self, tokens, position, head):
        """Feed tokens; see :meth:`host.device.Device.step`."""
        if self.machine is None:
            raise DeviceError(f"{self.name}: load an image first")
        self.machine.run(self.program, tokens=tokens, position=position, head=head, trace=self.trace)
        if not head:
            return Step()
        ids, logits = zip(*self.machine.best)
        return Step(np.array(ids), np.array(logits, np.float32))

    def close(self):
        """Let go of the memories."""
        self.machine = None
