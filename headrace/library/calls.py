"""One call each for what takes a model and a machine."""

import os
from collections.abc import Iterator

from host.image.image import Image
from host.language.sampling import Sampling

from .comparison import Comparison, compare_layers
from .machines import Machine
from .models import Model, load
from .runner import Answer, Token


__all__ = ["compare", "compile", "generate", "run"]


AnyModel = str | os.PathLike[str] | Model
AnyMachine = str | Machine | None


def _model(model: AnyModel) -> Model:
    return model if isinstance(model, Model) else load(model)


def compile(model: AnyModel, machine: AnyMachine = None, *, context: int | None = None) -> Image:
    """Compile a model for a machine: :meth:`Model.compile` in one call.

    `model` and `machine` may be what :func:`load` and :func:`machine` take. Without a machine, that
    is ``"wide"``, or what fits the model if that does not.
    """
    return _model(model).compile(machine, context=context)


def generate(
    model: AnyModel,
    prompt: str,
    *,
    machine: AnyMachine = None,
    device: str = "sim",
    tokens: int = 32,
    sampling: Sampling = Sampling(),
    chat: bool = False,
    context: int | None = None,
) -> Iterator[Token]:
    """Yield tokens that continue a prompt: :meth:`Model.on` and :meth:`Runner.generate` in one
    call.
    """
    with _model(model).on(machine, device=device, context=context) as runner:
        yield from runner.generate(prompt, tokens=tokens, sampling=sampling, chat=chat)


def run(
    model: AnyModel,
    prompt: str,
    *,
    machine: AnyMachine = None,
    device: str = "sim",
    tokens: int = 32,
    sampling: Sampling = Sampling(),
    chat: bool = False,
    context: int | None = None,
) -> Answer:
    """Answer a prompt: :meth:`Model.on` and :meth:`Runner.run` in one call."""
    with _model(model).on(machine, device=device, context=context) as runner:
        return runner.run(prompt, tokens=tokens, sampling=sampling, chat=chat)


def compare(
    model: AnyModel,
    prompt: str,
    *,
    machine: AnyMachine = None,
    device: str = "sim",
    layers: range | None = None,
    bisect: bool = False,
    context: int | None = None,
) -> Comparison:
    """Compare a device with the functional model, layer by layer, in every bit of the best logits.

    Parameters
    ----------
    model, machine, device, context
        See :func:`load` and :meth:`Model.on`.
    prompt : :class:`str`
    layers : :class:`range`
        After how many layers to look. None: after each.
    bisect : :class:`bool`
        Only find the first layer that differs, which takes fewer runs.
    """
    with _model(model).on(machine, device=device, context=context) as runner:
        return compare_layers(runner, runner.encode(prompt), layers, bisect=bisect)
