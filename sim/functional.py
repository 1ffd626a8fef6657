"""The functional machine as a device: the same images, at interactive speed, with no cycles."""

import numpy as np

from host.device import DeviceError, DeviceFault, Step, check_digest, instruction_text
from rtl.csr import FaultCode
from rtl.isa import decode
from sw_ref.machine import Machine, MachineError


__all__ = ["ModelDevice"]


class ModelDevice:
    """Runs images on :class:`sw_ref.machine.Machine`; see :class:`host.device.Device`.

    Attributes
    ----------
    machine : :class:`~sw_ref.machine.Machine`
        Of the loaded image: its memories may be looked at.
    logits : float32 (columns, vocabulary)
        All logits of each column of the last step that had a head.
    trace : callable or None
        Passed to :meth:`sw_ref.machine.Machine.run`.
    """
    name = "model"

    def __init__(self, config, *, progress=None):
        self.config, self.progress = config, progress
        self.machine = self.image = self.trace = None

    @property
    def logits(self):
        return self.machine.logits

    def load(self, image):
        """Take an image; see :meth:`host.device.Device.load`."""
        check_digest(self, image)
        program = tuple(image.instructions)
        for pc, word in enumerate(program):
            try:
                decode(word)
            except ValueError:
                raise DeviceFault(FaultCode.OPCODE, pc, word & 0xff, instruction_text(image, pc)) from None
        self.image, self.program = image, program
        self.machine = Machine(self.config, image.dram())

    def step(self, tokens, position, head):
        """Feed tokens; see :meth:`host.device.Device.step`."""
        if self.machine is None:
            raise DeviceError(f"{self.name}: load an image first")
        try:
            self.machine.run(self.program, tokens=tokens, position=position, head=head,
                             trace=self.trace)
        except MachineError as error:
            raise DeviceError(f"{self.name}: {error}") from error
        if not head:
            return Step()
        ids, logits = zip(*self.machine.best)
        return Step(np.array(ids), np.array(logits, np.float32))

    def close(self):
        """Let go of the memories."""
        self.machine = None
