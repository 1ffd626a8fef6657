"""Every program ends with an exit code and at most one line, whatever the system refuses."""

import errno
import os
import re
import subprocess
import sys
from pathlib import Path

import pytest

from host.errors import UserError, run_command


ROOT = Path(__file__).parent.parent.parent


def raising(error):
    def command():
        raise error

    return command


@pytest.mark.parametrize(
    "error, said",
    [
        (UserError("a: must be b"), "a: must be b"),
        (
            OSError(errno.EROFS, "Read-only file system", "/a"),
            "/a: cannot be used: Read-only file system; choose a place that can be written",
        ),
        (
            OSError(errno.ENOSPC, "No space left on device"),
            "output: cannot be written: No space left on device; make room there",
        ),
        (
            PermissionError(errno.EACCES, "Permission denied", b"/a"),
            "/a: cannot be used: Permission denied; change its permissions, or choose another "
            "place",
        ),
        (
            OSError(errno.ELOOP, "Too many levels of symbolic links", "a"),
            "a: cannot be used: Too many levels of symbolic links",
        ),
        (OSError("two\nlines"), "two lines"),
        (OSError(errno.EBADF, "Bad file descriptor", 0), "Bad file descriptor"),
        (OSError(), "OSError"),
        (
            MemoryError(),
            "memory: there is no more; close other programs, or use a smaller model or --context",
        ),
        (
            MemoryError("Unable to allocate\n8 TiB"),
            "memory: Unable to allocate 8 TiB; close other programs, or use a smaller model or "
            "--context",
        ),
        (
            RecursionError("depth"),
            "the input is nested too deeply to be read; is the file damaged?",
        ),
    ],
)
def test_one_line(capsys, error, said):
    assert run_command("name", raising(error)) == 2
    assert capsys.readouterr() == ("", f"name: {said}\n")


def test_exit_codes(capsys):
    assert run_command("name", lambda: None) == 0
    assert run_command("name", lambda: 1) == 1
    assert run_command("name", raising(BrokenPipeError())) == 1
    assert run_command("name", raising(KeyboardInterrupt())) == 130
    assert capsys.readouterr() == ("", "\nname: interrupted\n")
    with pytest.raises(ValueError):  # a defect of ours is none of the user's
        run_command("name", raising(ValueError()))


@pytest.mark.parametrize(
    "redirect, code, said",
    [
        (
            "> /dev/full",
            2,
            "run: output: cannot be written: No space left on device; make room there\n",
        ),
        ("| true", 1, ""),
        (">&-", 0, ""),
        ("<&-", 0, ""),
    ],
)
@pytest.mark.parametrize("flush", [False, True])
def test_streams(redirect, code, said, flush):
    """Nothing more is said when Python flushes at its end."""
    script = (
        "import select, sys; from host.errors import run_command; "
        "poll = select.poll(); poll.register(1, 0); "  # until whoever reads is gone
        f"poll.poll({60_000 if '|' in redirect else 0}); "
        "sys.exit(run_command('run', lambda: print(sys.stdin.read() + 'x' * 100, "
        f"flush={flush})))"
    )
    command = f"{sys.executable} -c \"{script}\" {redirect}"
    if "<" not in redirect:
        command = f"echo | {command}"
    done = subprocess.run(
        ["bash", "-c", f"set -o pipefail; {command}"], cwd=ROOT, capture_output=True, text=True
    )
    assert (done.returncode, done.stderr) == (code, said)


def test_characters_that_a_terminal_lacks():
    done = subprocess.run(
        [
            sys.executable,
            "-c",
            "from host.errors import run_command; "
            "run_command('run', lambda: print('a\\u65e5\\udcff'))",
        ],
        cwd=ROOT,
        env={**os.environ, "PYTHONIOENCODING": "ascii"},
        capture_output=True,
    )
    assert (done.returncode, done.stdout, done.stderr) == (0, b"a\\u65e5\\udcff\n", b"")


# Programs that only other programs start, and which say what is wrong in a form of their own.
INNER = {"host/language/template_process.py", "sim/known_answer.py", "boards/dram/generator.py"}
# Older names of programs, which run what the program is now.
NAMES = {"sim/board.py", "sw_ref/training/__main__.py"}
PROGRAMS = sorted(
    str(path.relative_to(ROOT))
    for folder in ("headrace", "host", "sim", "boards", "mapper", "sw_ref", "rtl")
    for path in (ROOT / folder).rglob("*.py")
    if '__name__ == "__main__"' in path.read_text()
)


def test_there_are_programs():
    assert {
        "headrace/cli.py",
        "sim/harness/runner.py",
        "boards/simulated/__main__.py",
        *INNER,
        *NAMES,
    } < {*PROGRAMS}


@pytest.mark.parametrize("path", [path for path in PROGRAMS if path not in INNER | NAMES])
def test_every_program_ends_this_way(path):
    text = (ROOT / path).read_text()
    assert re.search(r'run_command\("[\w-]+", ', text), (
        f"{path} must end through host.errors.run_command"
    )
