"""Options that several commands have: how they are typed, and the frozen values that they become.

A group of options is a dataclass with a field for each, and `add_...` declares them. :func:`read`
makes such a value of what argparse found, so that nothing but a command's own `run` sees that.
"""

import shlex
import sys
from argparse import ArgumentParser, Namespace
from collections.abc import Mapping
from dataclasses import dataclass, fields, is_dataclass
from typing import TYPE_CHECKING, Any, TypeVar, get_type_hints

from host import configurations
from host.errors import UserError
from host.image.image import Image
from host.language.sampling import BEST
from rtl.spec.config import Config

from . import devices
from .library import images
from .library.machines import DEFAULT, names
from .library.models import DEFAULT_CONTEXT, Model, check_context, load
from .library.runner import Runner


if TYPE_CHECKING:
    from _typeshed import DataclassInstance


__all__ = [
    "DeviceOptions",
    "MachineOptions",
    "ModelOptions",
    "add_device",
    "add_machine",
    "add_model",
    "add_sampling",
    "add_set",
    "read",
]


Kind = TypeVar("Kind", bound="DataclassInstance")


def read(kind: type[Kind], parsed: Namespace) -> Kind:
    """A frozen value of what was parsed: its fields by their names, those that are such values of
    theirs.
    """
    types = get_type_hints(kind)

    def value(name: str) -> Any:
        if is_dataclass(types[name]):
            return read(types[name], parsed)
        given = getattr(parsed, name)
        return tuple(given) if isinstance(given, list) else given

    declared = fields(kind)  # pyright: ignore[reportArgumentType]
    return kind(**{field.name: value(field.name) for field in declared})


@dataclass(frozen=True, kw_only=True)
class MachineOptions:
    """Which machine: the name of one or a file, and texts ``FIELD=VALUE`` that change it."""

    config: str | None
    set: tuple[str, ...]

    @property
    def given(self) -> bool:
        """Whether anything was said."""
        return self.config is not None or bool(self.set)

    def typed(self, default: str) -> str:
        """How to type the same again, where `default` is not the default."""
        return shlex.join(
            [
                *("--config", self.config or default),
                *(word for text in self.set for word in ("--set", text)),
            ]
        )

    def machine(
        self, default: str | Config = DEFAULT, besides: Mapping[str, Config] = {}
    ) -> Config:
        """The machine; `default` where none is named. Raises :exc:`UserError` for what is none.

        `besides` are machines that only one command knows.
        """
        base = default if self.config is None else besides.get(self.config, self.config)
        config = base if isinstance(base, Config) else configurations.read(base)
        return configurations.changed(
            config, configurations.settings(self.set), f"--set {' '.join(self.set)}"
        )

    def fitting(self, model: Model, machine: Config) -> Config:
        """The machine for a model where nobody named one. Says on stderr why, if not `machine`."""
        base = None if machine == configurations.read(DEFAULT) else machine
        fitting, why = model.fitting(base, configurations.settings(self.set))
        if why is not None:
            print(f"headrace: {why}", file=sys.stderr)
        return fitting


def add_machine(parser: ArgumentParser, default: str) -> None:
    """Options that choose a machine."""
    parser.add_argument(
        "--config",
        metavar="NAME",
        help=f"accelerator: {', '.join(names())}, or a TOML file (default: {default})",
    )
    add_set(parser)


def add_set(parser: ArgumentParser) -> None:
    """The option that changes values of a machine."""
    parser.add_argument(
        "--set",
        metavar="FIELD=VALUE",
        action="append",
        default=[],
        help="change a value of the configuration: columns=2, core=lut, "
        "dram.latency=60; any number of times",
    )


@dataclass(frozen=True, kw_only=True)
class ModelOptions:
    """Which model, for which machine."""

    model: str
    bits: int
    head: str | None
    context: int | None
    machine: MachineOptions

    def load(self, default: str | Config = DEFAULT) -> tuple[Model, Config]:
        """The model, and its machine: what an image was compiled for; where none is named, what
        fits the model, which is `default` if that does.
        """
        if not self.model:
            raise UserError("--model must be a model, it is empty")
        check_context(self.context)
        if images.is_image(self.model):
            model = load(self.model, head=self.head)
            return model, self.machine.machine(model.machine)
        machine = self.machine.machine(default)  # before a model is read
        model = load(self.model, bits=self.bits, head=self.head)
        if self.machine.config is not None:
            return model, model.suited(machine)
        return model, self.machine.fitting(model, machine)


def add_model(parser: ArgumentParser) -> None:
    """Options that choose a model, and a machine."""
    parser.add_argument(
        "--model",
        default="smollm2",
        metavar="MODEL",
        help="smollm2, tiny, tiny-sparse, tiny-mixed, tiny-q1, tiny-q2, tiny-q3, a GGUF file, "
        "a folder with safetensors, or a program image (default: smollm2)",
    )
    add_machine(parser, f"{DEFAULT} if the model fits it, or what the image was compiled for")
    parser.add_argument(
        "--context",
        type=int,
        metavar="N",
        help=f"positions in the KV cache (default: {DEFAULT_CONTEXT}, or what the "
        "model was trained for if that is less)",
    )
    parser.add_argument(
        "--bits",
        type=int,
        choices=(1, 2, 3, 4, 5, 8),
        default=8,
        help="for models in float: bits to round weights to (default: 8)",
    )
    parser.add_argument(
        "--head",
        metavar="FORMAT",
        help="round the head, and an embedding that is the head, to a format of the machine: S8, "
        "U4, U5, S6, IQ4, FP4 or FP4_16 (default: keep the type of the file)",
    )


@dataclass(frozen=True, kw_only=True)
class DeviceOptions:
    """Where to run."""

    device: str
    timeline: str | None

    def check(self) -> None:
        """Refuse what cannot be created, before anything takes time."""
        devices.check(self.device, self.timeline, "--")

    def runner(self, image: Image, machine: Config) -> Runner:
        """The image on the device."""
        return Runner(image, machine, self.device, timeline=self.timeline)


def add_device(parser: ArgumentParser, default: str) -> None:
    """Options that say where to run."""
    parser.add_argument(
        "--device",
        default=default,
        metavar="NAME",
        help="model: functional model; sim: cycle-accurate simulated FPGA; "
        "uart:PORT[:BAUD]: a board; pynq:FILE.bit, xrt:FILE.xclbin: this board, or a card "
        f"(default: {default})",
    )
    parser.add_argument(
        "--timeline",
        metavar="FILE",
        help="with --device sim: write what the units do, for Perfetto",
    )


def add_sampling(parser: ArgumentParser, temperature: float, top_p: float) -> None:
    """Options that say how to choose tokens: fields of
    :class:`~host.language.sampling.Sampling`.
    """
    choice = parser.add_mutually_exclusive_group()
    choice.add_argument(
        "--greedy",
        action="store_const",
        const=0.0,
        dest="temperature",
        help="always the best token" + (" (default)" if not temperature else ""),
    )
    choice.add_argument(
        "--temperature",
        type=float,
        metavar="T",
        help="0 is greedy" + (f" (default: {temperature})" if temperature else ""),
    )
    parser.set_defaults(temperature=temperature)
    parser.add_argument(
        "--top-k",
        type=int,
        default=BEST,
        metavar="K",
        help=f"choose among the K best, at most {BEST}",
    )
    parser.add_argument(
        "--top-p",
        type=float,
        default=top_p,
        metavar="P",
        help="choose among the best that have this probability together",
    )
    parser.add_argument("--seed", type=int, metavar="N", help="make sampling repeatable")
