"""Figures of a linear core: what it does with a model, and what it takes of an FPGA."""

from collections.abc import Collection
from dataclasses import dataclass
from statistics import median

from host.errors import UserError
from host.image.image import Image
from host.progress import steps
from rtl.spec.config import CORES, Config

from .runner import Runner


__all__ = ["Work", "measure"]


@dataclass(frozen=True, kw_only=True)
class Work:
    """What the simulated FPGA does with each core."""

    image: Image
    prompt: str
    tokens: int


def measure(
    core: str, base: Config, work: Work | None, formats: Collection[str], route: bool
) -> dict:
    """Figures of a core by name: cycles, if there is work, area, and clocks if it is routed.

    `base` is the configuration whose core is replaced. Of a core that has not all the formats, the
    figures are `core` and what it `lacks`.
    """
    from ..studies import cores

    config = cores.with_core(base, core, formats)
    row = {"core": core}
    if config is None:
        return row | {"lacks": sorted(set(formats) - set(CORES[core]))}
    row |= {"formats": list(config.formats), "config": config.name}
    if work is not None:
        row |= decode(config, work)
    with steps("comparing") as step:
        return row | cores.hardware(config, route, step)


def decode(config: Config, work: Work) -> dict:
    """Cycles of decode steps on the simulated FPGA."""
    lacking = work.image.lacks(config)
    if lacking is not None:
        raise UserError(f"--formats: {lacking}")
    with Runner(work.image, config, "sim") as runner:
        # Refuses what cannot be run, before a device takes minutes to build.
        runner.encode(work.prompt)
        runner.open()
        with steps("comparing") as step:
            step(f"{config.name}: running {work.image.model['name']}")
            answer = runner.run(work.prompt, tokens=work.tokens)
    decoded = [
        token.cycles for token in answer.tokens if token.fed == 1 and token.cycles is not None
    ]
    return {
        "cycles_per_token": median(decoded) if decoded else None,
        "utilization": answer.utilization,
        "token_ids": [token.id for token in answer.tokens],
    }
