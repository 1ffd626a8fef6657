"""What is profiled: a model or an image, whole or cut, or a shape with random weights."""

import os
import sys
from collections.abc import Callable, Collection
from functools import cache

from host.image.image import Image
from rtl.spec.numbers import KV_BLOCK

from .machines import Machine
from .models import DEFAULT_CONTEXT, Model
from .profiling import Target
from .shapes import load_shape, read_shape


__all__ = ["of_image", "of_model", "of_shape"]


def of_image(name: str, machine: Machine, whole: Callable[[], Image], layers: int) -> Target:
    """An image, or its first layers."""

    def image(count):
        from mapper.truncate import first_layers

        return whole() if count == layers else first_layers(whole(), count)

    return Target(name=name, machine=machine, layers=layers, image=image)


def of_model(model: Model, machine: Machine, positions: int, context: int | None = None) -> Target:
    """A model, compiled for so many positions if nobody said for how many."""
    if model.source is None:
        image = model.image(machine, context=context)
        return of_image(model.path, machine, lambda: image, image.model["layers"])
    if context is None and positions > DEFAULT_CONTEXT:
        context = min(model.source.context, _whole(positions))
    whole = cache(lambda: model.image(machine, context=context))
    return of_image(model.path, machine, whole, len(model.source.layers))


def of_shape(
    path: str | os.PathLike[str],
    base: Machine | None,
    fixed: Collection[str],
    positions: int,
    context: int | None = None,
) -> Target:
    """A shape in a JSON file, on the machine that fits it, derived from `base`: `fixed` are fields
    that somebody chose. A cut has as many layers, and no others."""
    shape = read_shape(path)
    machine, why = load_shape(shape, path).fitting(base, fixed)
    if why is not None:
        print(f"headrace: {why}", file=sys.stderr)

    def image(count):
        model = load_shape(shape, path, count)
        return model.compile(machine, context=context or _whole(positions))

    return Target(name=str(path), machine=machine, layers=shape.layers, image=image)


def _whole(positions):
    """Whole blocks of the KV cache that hold them."""
    return -(-positions // KV_BLOCK) * KV_BLOCK
