"""The functional machine as a device: the same images, at interactive speed, with no cycles."""

import signal
import threading
from contextlib import contextmanager

import numpy as np

from host.device import DeviceError, Step, check_digest
from sw_ref.legal import MachineError, decoded
from sw_ref.logits import capped
from sw_ref.machine import Machine


__all__ = ["ModelDevice"]


@contextmanager
def between_instructions():
    """Hold Ctrl-C back. Gives a function that lets it through, which happens at the end anyway.

    Kernels are compiled when they are first used, and the compiler's callbacks swallow exceptions.
    """
    if threading.current_thread() is not threading.main_thread():
        yield lambda *_: None
        return
    pressed = []
    before = signal.signal(signal.SIGINT, lambda *args: pressed.append(args))

    def check(*_):
        if pressed and callable(before):
            before(*pressed.pop())

    try:
        yield check
        check()
    finally:
        signal.signal(signal.SIGINT, before)


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
        return capped(self.machine.logits, self.image.model["logit_cap"])

    def load(self, image):
        """Take an image; see :meth:`host.device.Device.load`."""
        check_digest(self, image)
        program = tuple(image.instructions)
        try:
            decoded(program, self.config.program_words)
        except MachineError as error:
            raise DeviceError(f"{self.name}: {error}") from error
        self.image, self.program = image, program
        self.machine = Machine(
            self.config, image.dram(), writable=image.writable, trusted=image.verified
        )

    def step(self, tokens, position, head):
        """Feed tokens; see :meth:`host.device.Device.step`."""
        if self.machine is None:
            raise DeviceError(f"{self.name}: load an image first")
        try:
            with between_instructions() as check:
                self.machine.run(
                    self.program,
                    tokens=tokens,
                    position=position,
                    head=head,
                    trace=self.trace or check,
                    poll=check,
                )
        except MachineError as error:
            raise DeviceError(f"{self.name}: {error}") from error
        if not head:
            return Step()
        ids, logits = zip(*self.machine.best[: self.image.vocab])
        logits = np.array(logits, np.float32)
        return Step(np.array(ids), capped(logits, self.image.model["logit_cap"]))

    def vector(self):
        """The vector memory as it is now: float32."""
        return self.machine.vector

    def close(self):
        """Let go of the memories."""
        self.machine = None
