"""A device beside the functional model, layer by layer, then node by node."""

from collections.abc import Callable, Iterator
from contextlib import closing
from dataclasses import dataclass

import numpy as np

from host.device import Device
from host.errors import UserError
from host.image.image import Image
from host.language.generate import Session
from host.progress import progress

from .nodes import can_look, first_node
from .runner import Runner


__all__ = ["Comparison", "as_float", "compare_layers"]


@dataclass(frozen=True, kw_only=True)
class Comparison:
    """What came of a comparison.

    Attributes
    ----------
    prompt_ids : list of :class:`int`
    rows : list of :class:`dict`
        By number of layers: ``layers``, ``equal``, ``token`` and ``logit`` that are right, how many
        are ``different``; of the first that is, ``rank``, and (id, bits of its logit) ``expected``
        and ``came``.
    first_difference : :class:`int` or None
        The least number of layers after which something differs.
    node : :class:`str` or None
        The first node of that layer whose value differs, where the device shows its memories.
    hint : :class:`str` or None
        Where to look for its cause.
    """

    prompt_ids: list[int]
    rows: list[dict]
    first_difference: int | None
    node: str | None
    hint: str | None

    @property
    def equal(self) -> bool:
        """Whether every bit that was compared is the same."""
        return self.first_difference is None


def compare_layers(
    runner: Runner,
    ids: list[int],
    layers: range | None = None,
    *,
    bisect: bool = False,
    show: Callable[[dict], None] = lambda row: None,
) -> Comparison:
    """Compare a runner's device with the functional model on a prompt, bit by bit.

    Parameters
    ----------
    layers : :class:`range`
        After how many layers to look. None: after each.
    bisect : :class:`bool`
        Only find the first layer that differs, which takes fewer runs.
    show : callable
        Told each row as it is there.
    """
    runner.check(ids)
    count = runner.image.model["layers"]
    span = range(1, count + 1) if layers is None else layers
    if not span or span[0] < 1 or span[-1] > count:
        raise UserError(f"layers must be from 1 to {count}, not {span}")
    right = Runner(runner.image, runner.machine, "model")
    with closing(right):
        compare = Layers(runner.image, [right.device, runner.device], runner.machine.columns)
        rows = []
        for row in look(compare, ids, span, bisect):
            show(row)
            rows.append(row)
        wrong = min((row["layers"] for row in rows if not row["equal"]), default=None)
        node = hint = None
        if wrong is not None:
            hint = narrow(compare, ids, wrong)
            if can_look(compare.devices):
                node = first_node(runner.image, runner.machine, compare.devices, ids, wrong)
    return Comparison(prompt_ids=ids, rows=rows, first_difference=wrong, node=node, hint=hint)


class Layers:
    """Best logits after the first layers, on two devices of which the first is right."""

    def __init__(self, image: Image, devices: list[Device], columns: int):
        self.image, self.devices, self.columns = image, devices, columns

    def best(self, device, image, ids, columns):
        """Best ids, and their logits' bits, after a prompt."""
        device.load(image)
        session = Session(device, context=image.context, columns=columns, vocab=image.vocab)
        step = session.feed(ids)[-1]
        return [
            (int(n), int(bits))
            for n, bits in zip(step.ids, np.asarray(step.logits, np.float32).view(np.uint32))
        ]

    def __call__(self, ids, layers, columns=None):
        """What comes after so many layers, as a dictionary."""
        from mapper.truncate import first_layers

        image = first_layers(self.image, layers)
        right, other = (self.best(d, image, ids, columns or self.columns) for d in self.devices)
        differ = [n for n, (a, b) in enumerate(zip(right, other)) if a != b]
        row = {
            "layers": layers,
            "equal": not differ,
            "token": right[0][0],
            "logit": as_float(right[0][1]),
            "different": len(differ),
        }
        if differ:
            row |= {"rank": differ[0], "expected": right[differ[0]], "came": other[differ[0]]}
        return row


def as_float(bits: int) -> float:
    """The float32 of these bits."""
    return float(np.uint32(bits).view(np.float32))


def look(compare: Layers, ids: list[int], span: range, bisect: bool) -> Iterator[dict]:
    """Yield a row for each number of layers that is looked at."""

    def at(layers):
        report(what=f"{layers} of {compare.image.model['layers']} layers")
        return compare(ids, layers)

    with progress("comparing") as report:
        if not bisect:
            for done, layers in enumerate(span):
                report(done, len(span))
                yield at(layers)
            return
        low, high = span[0], span[-1]
        yield (row := at(high))
        while not row["equal"] and low < high:
            middle = (low + high) // 2
            report(high - low)
            yield (found := at(middle))
            low, high = (middle + 1, high) if found["equal"] else (low, middle)


def narrow(compare: Layers, ids: list[int], layers: int) -> str:
    """A hint where to look on, from what makes the difference go away."""
    with progress("narrowing down") as report:
        if compare.columns > 1 and compare(ids, layers, columns=1)["equal"]:
            return (
                "only with several columns at a time; look at loops over columns and their strides"
            )
        for length in range(1, len(ids) + 1):
            report(length, len(ids))
            if not compare(ids[:length], layers, columns=1)["equal"]:
                break
    if length == 1:
        return (
            "at the first position already, where attention has one key; look at matrix products, "
            "norms, "
            "rotation and gate: make sim UNIT=linear_unit, UNIT=vector_unit"
        )
    return (
        f"from position {length - 1} on; look at attention and the KV cache: make sim "
        "UNIT=attention, "
        "UNIT=append, UNIT=memory_writer"
    )
