"""Look at a board: its link and memory, and whether it gives the functional model's tokens."""

from collections.abc import Callable, Iterator

from host.device import DeviceError
from host.link.client import Client
from host.link.device import address
from host.link.serial import SerialPort

from .machines import Machine
from .models import load


__all__ = ["board_checks"]


MODEL, PROMPT, TOKENS = "tiny", "We must", 8

# What was looked at, what came, what to do where it is not good, and True: all of it is needed.
Row = tuple[str, str, str | None, bool]


def board_checks(device: str, machine: Callable[[Machine], Machine]) -> Iterator[Row]:
    """Yield what comes of each step of :func:`boards.examination.examine`, then of the model.

    Parameters
    ----------
    device : :class:`str`
        ``uart:PORT[:BAUD]``.
    machine : callable
        What the bitstream was built with, of the board's own configuration.
    """
    from boards import examination
    from boards.device import patience

    path, baud = address(device.partition(":")[2])
    port, found, board, there = SerialPort(path, baud), {}, None, False
    try:
        link = Client(port, name=device, **patience())
        for what, came, mend in examination.examine(link):
            found[what] = mend is None
            yield what, came, mend, True
        if all(found.values()):
            board = examination.by_number(link.hello()["board"])
            there = examination.has_accelerator(link)
    finally:
        port.close()
    if board is not None and there:
        yield "tokens", *_tokens(device, machine(board.config)), True


def _tokens(device, machine) -> tuple[str, str | None]:
    """What the board answers, and what is wrong where the functional model answers otherwise."""
    model, said = load(MODEL), {}
    try:
        for name in ("model", device):
            with model.on(machine, device=name) as runner:
                said[name] = runner.run(PROMPT, tokens=TOKENS)
    except DeviceError as error:
        return "failed", str(error)
    ours, theirs = ([token.id for token in said[name].tokens] for name in (device, "model"))
    if ours != theirs:
        return (
            f"{MODEL} says {said[device].text!r}",
            f"must say {said['model'].text!r}; run headrace compare --device {device} "
            f"--model {MODEL}",
        )
    return (
        f"{MODEL} says what the functional model says: {TOKENS} tokens at "
        f"{said[device].cycles_per_token:,.0f} cycles, {said[device].tokens_per_second:.1f}/s, "
        f"{said[device].utilization:.1%} of the memory's peak",
        None,
    )
