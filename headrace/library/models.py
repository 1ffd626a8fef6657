"""Models: language models from files, and program images that they were compiled to."""

import os
from collections.abc import Collection, Iterable
from functools import cached_property
from typing import TYPE_CHECKING

from host.errors import UserError
from host.image.image import Image
from host.image.schema import configuration

from . import images
from .machines import Machine, fitting, machine as machine_of, suited
from .runner import Runner


if TYPE_CHECKING:
    import numpy as np

    from mapper.model import Model as Source


__all__ = ["DEFAULT_CONTEXT", "STEPS", "Model", "Program", "check_context", "load"]


DEFAULT_CONTEXT = 2048
# What :meth:`Model.dump` takes, :data:`mapper.dump.STEPS`, which is not imported before it is
# needed.
STEPS = ("graph", "rewrites", "quantize", "place", "schedule")


def check_context(context: int | None) -> None:
    """Refuse a number of positions that no model has."""
    if context is not None and context < 1:
        raise UserError(f"context must be at least 1, not {context}")


class Model:
    """A language model, as :func:`load` read it.

    Attributes
    ----------
    path : :class:`str`
        What the user calls it: a name, or the path of a file or a folder.
    name : :class:`str`
        What its makers call it.
    source : :class:`mapper.model.Model` or None
        Its weights and sizes; None for a :class:`Program`.
    bits : :class:`int`
    head : :class:`str` or None
        What weights, and the head, are rounded to: see :func:`load`.
    """

    def __init__(self, path: str, source: "Source", bits: int, head: str | None = None):
        self.path, self.source, self.bits, self.head = path, source, bits, head
        self.name = source.name

    @cached_property
    def machine(self) -> Machine:
        """What it runs on where nothing else is said: see :func:`.machines.fitting`."""
        return self.fitting()[0]

    def __repr__(self):
        return f"<{type(self).__name__} {self.name!r} from {self.path!r}>"

    def compile(self, machine: str | Machine | None = None, *, context: int | None = None) -> Image:
        """Compile for a machine.

        Parameters
        ----------
        machine : :class:`str` or :class:`Machine`
            As :func:`machine` takes it. None: :attr:`machine`.
        context : :class:`int`
            Positions in the KV cache. None: 2048, or what the model was trained for if less.

        Returns
        -------
        :class:`host.image.image.Image`
            Its `report` has sizes in bytes and estimated cycles; its `save(path)` writes it.
        """
        return images.compile_image(
            self.source, self.suited(machine), self._context(context), self.head
        )

    def dump(
        self, step: str, machine: str | Machine | None = None, *, context: int | None = None
    ) -> str:
        """What the model is after a step of :meth:`compile`, one of :data:`STEPS`, as text to
        read.
        """
        if step not in STEPS:
            raise UserError(f"step must be one of {', '.join(STEPS)}, not {step!r}")
        return images.dump(
            self.source, self.suited(machine), self._context(context), step, self.head
        )

    def image(self, machine: str | Machine | None = None, *, context: int | None = None) -> Image:
        """The same as :meth:`compile`, but compiled only once and then kept in a cache."""
        return images.kept(
            self.source,
            self.path,
            self.bits,
            self.suited(machine),
            self._context(context),
            self.head,
        )

    def on(
        self,
        machine: str | Machine | None = None,
        *,
        device: str = "sim",
        context: int | None = None,
        timeline: str | None = None,
    ) -> Runner:
        """Put the model on a machine.

        Parameters
        ----------
        machine, context
            See :meth:`compile`.
        device : :class:`str`
            What stands for the machine: ``"sim"``, its cycle-accurate Verilog with a DRAM model;
            ``"model"``, its functional model, with the same bits at interactive speed; or a board:
            ``"uart:PORT"``, ``"pynq:FILE.bit"``, ``"xrt:FILE.xclbin"``.
        timeline : path
            With ``"sim"``: a file to write what the units do to, for Perfetto.
        """
        chosen = self.suited(machine)
        return Runner(self.image(chosen, context=context), chosen, device, timeline=timeline)

    def logits(
        self, ids: Iterable[int], *, reference: bool = False, context: int | None = None
    ) -> "tuple[np.ndarray, np.ndarray] | np.ndarray":
        """Logits of every position of one sequence, beginning at position 0; nothing is added.

        Parameters
        ----------
        ids : iterable of :class:`int`
            Tokens, at least one.
        reference : :class:`bool`
            Of the model in float32, with the file's own weights.
        context : :class:`int`
            See :meth:`compile`.

        Returns
        -------
        ids, logits : int32 and float32 (positions, 64)
            The best tokens, as every machine finds them, the best first; fewer than 64 if the
            vocabulary is smaller. They come of the functional machine.
        logits : float32 (positions, vocab)
            All of them, with `reference`.
        """
        from . import evaluation

        limit = self._context(context)
        found = evaluation.checked_ids(ids, self.source.vocab, limit)
        if reference:
            return evaluation.reference_logits(self.source, found)
        machine = evaluation.machine_for(self.source, self.head)
        return self._best(found, machine, limit)

    def _best(self, ids, machine, context):
        from sw_ref.evaluation import best_logits

        with self.on(machine, device="model", context=context) as runner:
            return best_logits(runner.device, ids)

    def suited(self, machine: str | Machine | None = None) -> Machine:
        """The machine with the weight formats of the model added, if nobody chose any for it: see
        :func:`.machines.suited`."""
        found = self.machine if machine is None else machine_of(machine)
        if self.source is None:
            return found
        return suited(found, self.source.formats | ({self.head} if self.head else set()))

    def fitting(
        self, base: Machine | None = None, fixed: Collection[str] = ()
    ) -> tuple[Machine, str | None]:
        """The machine where nobody named one, and why it is not the default, or None: see
        :func:`.machines.fitting`."""
        return fitting(self.source, self.head, base, fixed)

    def _context(self, context):
        check_context(context)
        most = self.source.context
        if context is not None and context > most:
            raise UserError(
                f"context must be from 1 to {most}, the positions that the model was "
                f"trained for, not {context}"
            )
        return context or min(DEFAULT_CONTEXT, most)


class Program(Model):
    """A model that was compiled already, for machines of one digest and one context."""

    def __init__(self, path: str, image: Image):
        self.path, self.source, self._image = path, None, image
        self.name, self.machine = image.model["name"], configuration(image.accelerator)

    def compile(self, machine: str | Machine | None = None, *, context: int | None = None) -> Image:
        """Refuse to: this is compiled already."""
        raise UserError(f"{self.path}: must be a model, this is an image already")

    def dump(
        self, step: str, machine: str | Machine | None = None, *, context: int | None = None
    ) -> str:
        """Refuse to: this is compiled already."""
        raise UserError(f"{self.path}: must be a model, this is an image already")

    def fitting(
        self, base: Machine | None = None, fixed: Collection[str] = ()
    ) -> tuple[Machine, str | None]:
        """What it was compiled for."""
        return self.machine, None

    def image(self, machine: str | Machine | None = None, *, context: int | None = None) -> Image:
        """The image, if it runs on the machine."""
        if context is not None:
            raise UserError(
                f"{self.path}: an image's context is fixed, context must be left out; "
                "compile the model again with it"
            )
        chosen, image = self.suited(machine), self._image
        # A device refuses it too, but may take minutes to build first.
        if chosen.digest != image.digest:
            raise UserError(
                f"{self.path}: the image was compiled for configuration {image.config!r} with "
                "digest "
                f"{image.digest}, but {chosen.name!r} has {chosen.digest}; compile the model again "
                "for it"
            )
        lacking = image.lacks(chosen)
        if lacking is not None:
            raise UserError(f"{self.path}: {lacking}; compile the model again for it")
        return image

    def logits(
        self, ids: Iterable[int], *, reference: bool = False, context: int | None = None
    ) -> "tuple[np.ndarray, np.ndarray] | np.ndarray":
        """See :meth:`Model.logits`: the best ones alone, since an image has no other weights."""
        from . import evaluation

        if reference:
            raise UserError(f"{self.path}: must be a model for its float32, this is an image")
        found = evaluation.checked_ids(ids, self._image.vocab, self._image.context)
        return self._best(found, None, context)


def load(name: str | os.PathLike[str], *, bits: int = 8, head: str | None = None) -> Model:
    """Read a model.

    Parameters
    ----------
    name : :class:`str` or path
        ``"smollm2"``, ``"tiny"``, ``"tiny-sparse"``, ``"tiny-mixed"``, ``"tiny-q1"``,
        ``"tiny-q2"``, ``"tiny-q3"``; a GGUF file, a folder with safetensors, or a program image.
    bits : :class:`int`
        1, 2, 3, 4 or 8: what weights are rounded to where a folder has them in float.
    head : :class:`str`
        A format that the head, and with it an embedding that is the head, is rounded to again when
        the model is compiled: ``"S8"``, ``"U4"``, ``"U5"``, ``"S6"``, ``"IQ4"``, ``"FP4"`` or
        ``"FP4_16"``, which the machine must have. None: it keeps its type. The report of the image
        has what it costs.

    Raises
    ------
    :exc:`headrace.Error`
        If there is none, if it is damaged, or has what the machine cannot run.
    """
    path = str(name)
    if not path:
        raise UserError("model must be a model, it is empty")
    if images.is_image(path):
        if head is not None:
            raise UserError(
                f"{path}: an image's head is fixed, head must be left out; compile the model "
                "again with it"
            )
        return Program(path, Image.load(path))
    from mapper.head import check_head
    from mapper.read.find import load as read

    check_head(head)
    return Model(path, read(path, bits), bits, head)
