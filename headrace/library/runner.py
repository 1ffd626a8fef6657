"""A model on a machine, which answers prompts."""

import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING

from host.device import Device
from host.errors import UserError
from host.image.image import Image
from host.language import generate as generation
from host.language.generate import Session
from host.language.sampling import Sampler, Sampling
from host.language.statistics import Statistics
from host.language.text_stream import TextStream
from host.language.tokenizer import Tokenizer
from host.progress import steps

from .. import devices
from .machines import Machine


if TYPE_CHECKING:
    from .profiling import Profile


__all__ = ["Answer", "Runner", "Token", "check_tokens", "tokenizer_of"]


def check_tokens(count: int, what: str = "tokens") -> None:
    """Refuse a number of tokens that is none."""
    if count < 1:
        raise UserError(f"{what} must be at least 1, not {count}")


def tokenizer_of(image: Image) -> Tokenizer:
    """The tokenizer that an image carries."""
    return Tokenizer.from_json(
        image.tokenizer["json"],
        bos=image.model["bos"],
        eos=image.model["eos"],
        chat_template=image.tokenizer["chat_template"],
    )


@dataclass(frozen=True, kw_only=True)
class Token(generation.Token):
    """A token with its text; see :class:`host.language.generate.Token` for `id`, `cycles` and more.

    Attributes
    ----------
    text : :class:`str`
        What it adds to the answer. Empty while a character is not whole; what is left of one comes
        with the last token.
    """

    text: str


@dataclass(frozen=True, kw_only=True)
class Answer:
    """What came of a prompt.

    Attributes
    ----------
    text : :class:`str`
        The answer alone.
    prompt_ids : list of :class:`int`
        Tokens of the prompt.
    tokens : list of :class:`Token`
    stopped : :class:`str` or None
        Why the last token was the last: ``"eos"``, ``"tokens"`` or ``"context"``.
    figures : :class:`dict`
        See :class:`host.language.statistics.Statistics`.
    """

    text: str
    prompt_ids: list[int]
    tokens: list[Token]
    stopped: str | None
    figures: dict

    @property
    def cycles_per_token(self) -> float | None:
        """Cycles of a decode step; None where the device does not count."""
        return self.figures["cycles_per_token"]

    @property
    def tokens_per_second(self) -> float | None:
        """Tokens per second at the machine's clock; None where the device does not count."""
        return self.figures["tokens_per_second_at_clock"]

    @property
    def utilization(self) -> float | None:
        """Share of the memory's peak that weights are, from 0 to 1; None where not counted."""
        return self.figures["utilization"]


class Runner:
    """A model on a machine. :meth:`Model.on` makes one; `with` closes it.

    The device is built and loaded when it is first needed, which takes minutes the first time for a
    machine on the simulated FPGA.

    Parameters
    ----------
    image : :class:`host.image.image.Image`
    machine : :class:`Machine`
    device, timeline
        See :meth:`Model.on`.

    Attributes
    ----------
    tokenizer : :class:`host.language.tokenizer.Tokenizer`
    """

    def __init__(
        self,
        image: Image,
        machine: Machine,
        device: str = "sim",
        *,
        timeline: str | os.PathLike[str] | None = None,
    ):
        devices.check(device, timeline)
        self.image, self.machine, self.tokenizer = image, machine, tokenizer_of(image)
        self._name, self._timeline = device, timeline

    def __enter__(self) -> "Runner":
        return self

    def __exit__(self, *_) -> None:
        self.close()

    @cached_property
    def device(self) -> Device:
        """The device, built if need be, with the image loaded."""
        with steps(f"building the simulated FPGA, once ({self.machine.name})") as step:
            device = devices.open_device(self._name, self.machine, self._timeline, step)
        try:
            device.load(self.image)
        except BaseException:  # Ctrl-C, too
            device.close()
            raise
        return device

    def open(self) -> None:
        """Build and load the device now, rather than when it is first needed."""
        _ = self.device

    def close(self) -> None:
        """Let go of the device, which writes the timeline. May be called again."""
        if (device := self.__dict__.pop("device", None)) is not None:
            device.close()

    def session(self) -> Session:
        """A new sequence of tokens on the device."""
        return self._session(self.device)

    def _session(self, device):
        return Session(
            device,
            context=self.image.context,
            columns=self.machine.columns,
            vocab=self.image.vocab,
            eos=self.image.model["eos"],
        )

    def encode(self, prompt: str, *, chat: bool = False) -> list[int]:
        """Tokens of a prompt, in the model's chat template if `chat`. Refuses what cannot be
        run.
        """
        text = self.tokenizer.chat([{"role": "user", "content": prompt}]) if chat else prompt
        ids = self.tokenizer.encode(text, end=not chat)
        self.check(ids)
        return ids

    def check(self, ids: list[int]) -> None:
        """Refuse tokens that cannot be run, before a device takes minutes to build."""
        self._session(None).check(ids)

    def answer(
        self,
        session: Session,
        ids: list[int],
        tokens: int,
        sampler: Sampler,
        progress: Callable[[int, int], None] = lambda done, total: None,
    ) -> Iterator[Token]:
        """Yield tokens that continue `ids` in a session. See :meth:`Session.generate`."""
        stream = TextStream(self.tokenizer, ids)
        for token in session.generate(ids, tokens, sampler, progress):
            text = stream.add(token.id) + (stream.finish() if session.stopped else "")
            yield Token(**vars(token), text=text)

    def generate(
        self, prompt: str, *, tokens: int = 32, sampling: Sampling = Sampling(), chat: bool = False
    ) -> Iterator[Token]:
        """Yield tokens that continue a prompt, as they come.

        Parameters
        ----------
        prompt : :class:`str`
        tokens : :class:`int`
            How many at most; the end of the answer, or of the context, comes before.
        sampling : :class:`Sampling`
            How to choose among the best tokens. Without: always the best.
        chat : :class:`bool`
            Put the prompt into the model's chat template.
        """
        check_tokens(tokens)
        ids = self.encode(prompt, chat=chat)
        return self.answer(self.session(), ids, tokens, Sampler(sampling))

    def run(
        self, prompt: str, *, tokens: int = 32, sampling: Sampling = Sampling(), chat: bool = False
    ) -> Answer:
        """Answer a prompt; parameters are those of :meth:`generate`."""
        check_tokens(tokens)
        ids = self.encode(prompt, chat=chat)
        session = self.session()
        return self.answered(
            ids, session, list(self.answer(session, ids, tokens, Sampler(sampling)))
        )

    def profile(
        self,
        *,
        position: int = 0,
        columns: int = 1,
        layers: int | None = None,
        timeline: str | os.PathLike[str] | None = None,
    ) -> "Profile":
        """Say where the cycles of a step go, on a simulated FPGA of its own; parameters are those
        of :func:`headrace.library.profiling.profile`.
        """
        from .profiling import profile
        from .targets import of_image

        if self._name != "sim":
            raise UserError(f"profile needs device sim, not {self._name}")
        name, count = self.image.model["name"], self.image.model["layers"]
        return profile(
            of_image(name, self.machine, lambda: self.image, count),
            position=position,
            columns=columns,
            layers=layers,
            timeline=timeline,
        )

    def answered(self, ids: list[int], session: Session, tokens: list[Token]) -> Answer:
        """The :class:`Answer` that tokens of :meth:`answer` make."""
        assert session.stopped is not None, "the last token says so"
        return Answer(
            text="".join(token.text for token in tokens),
            prompt_ids=ids,
            tokens=tokens,
            stopped=session.stopped or "tokens",
            figures=Statistics(self.image, self.machine, tokens).figures,
        )
