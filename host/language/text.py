"""Read a text from a file or from stdin."""

import sys
from contextlib import nullcontext

from ..errors import UserError, reason


__all__ = ["BYTES", "read_text"]


# Of a text at most: one without an end, such as /dev/zero, must not fill the memory.
BYTES = 1 << 30


def read_text(path, *, most=BYTES):
    """The UTF-8 text of a file, of at most so many bytes; of stdin if `path` is ``-``.

    Raises :exc:`~host.errors.UserError` for what is none.
    """
    name = "stdin" if str(path) == "-" else path
    try:
        with nullcontext(sys.stdin.buffer) if name == "stdin" else open(path, "rb") as file:
            data = file.read(most + 1)
    except OSError as error:
        raise UserError(f"{name}: cannot be read: {reason(error)}") from None
    if len(data) > most:
        raise UserError(f"{name}: must be a text of at most {most:,} bytes; it has more")
    try:
        return data.decode()
    except UnicodeDecodeError as error:
        raise UserError(
            f"{name}: must be UTF-8 text, but byte {error.start} is {data[error.start]:#04x}"
        ) from None
