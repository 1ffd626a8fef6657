"""A pseudo-terminal, for what programs write and read only there."""

import os
import pty
import subprocess
import sys
from pathlib import Path


__all__ = ["on_terminal"]


ROOT = Path(__file__).parent.parent.parent


def on_terminal(*args, typed=b"", stdout=None, **environment):
    """What Python, run with `args`, writes to a terminal on which `typed` was typed.

    `stdout`, where given, goes there instead.
    """
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [sys.executable, *args],
        cwd=ROOT,
        stdin=theirs,
        stderr=theirs,
        stdout=stdout or theirs,
        env={**os.environ, "TERM": "xterm", **environment},
    ) as process:
        os.close(theirs)
        os.write(ours, typed)
        seen = b""
        try:
            while part := os.read(ours, 4096):
                seen += part
        except OSError:  # all of the other side is closed
            pass
    os.close(ours)
    assert process.returncode == 0
    return seen.decode()
