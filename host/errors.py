"""Errors that a user can act on, and how every command ends with one."""

import errno
import io
import os
import sys


__all__ = ["UserError", "reason", "run_command"]


class UserError(Exception):
    """Something outside the program is wrong: a file, an option, an installation.

    The message is one line that names what was looked at, what was expected, what came, and what
    to do. The command line prints it without a traceback and exits with code 2.
    """


# What to do about the system's refusals.
ADVICE = {
    errno.ENOSPC: "make room there",
    errno.EDQUOT: "make room there",
    errno.EFBIG: "raise the limit with `ulimit -f`",
    errno.EROFS: "choose a place that can be written",
    errno.EACCES: "change its permissions, or choose another place",
    errno.EPERM: "change its permissions, or choose another place",
    errno.ENOENT: "check the name",
    errno.ENOTDIR: "a file lies where a folder is needed: choose another place",
    errno.EEXIST: "a file lies where a folder is needed: choose another place",
    errno.EISDIR: "a folder lies where a file is needed: choose another name",
    errno.ENAMETOOLONG: "choose a shorter name",
    errno.EMFILE: "raise the limit with `ulimit -n`",
}


def reason(error):
    """What an :exc:`OSError` says, and what to do about it."""
    said = error.strerror or " ".join(str(error).split()) or type(error).__name__
    return "; ".join(filter(None, [said, ADVICE.get(error.errno)]))


def explain(error):
    """One line on an error that is no :exc:`UserError`, but the system's or the input's fault."""
    if isinstance(error, OSError):
        if error.filename is None and error.errno in (errno.ENOSPC, errno.EDQUOT, errno.EIO):
            # Of files, `host.files` says the names; stdout has none.
            return f"output: cannot be written: {reason(error)}"
        if not isinstance(error.filename, str | bytes):  # there is none, or it is a number
            return reason(error)
        return f"{os.fsdecode(error.filename)}: cannot be used: {reason(error)}"
    if isinstance(error, MemoryError):
        said = " ".join(str(error).split()) or "there is no more"
        return f"memory: {said}; close other programs, or use a smaller model or --context"
    return "the input is nested too deeply to be read; is the file damaged?"  # RecursionError


def open_streams():
    """Open streams that are closed (``<&-``), and make all take any character."""
    for name, mode in ("stdin", "r"), ("stdout", "w"), ("stderr", "w"):
        if getattr(sys, name) is None:
            setattr(sys, name, open(os.devnull, mode))
    for stream, errors in (sys.stdin, "surrogateescape"), (sys.stdout, "backslashreplace"):
        if isinstance(stream, io.TextIOWrapper):  # tests' streams are not
            stream.reconfigure(errors=errors)


def run_command(name, command):
    """Run `command()`, the whole of a program, and return the program's exit code.

    That is what `command` returns, 0 for None; 2 for what the user can mend, with one line on
    stderr that begins with `name`; 130 for Ctrl-C; 1 when whoever reads our output has enough.
    """
    open_streams()
    code = 2
    try:
        try:
            code = command() or 0
        finally:
            sys.stdout.flush()  # here, where it is known what to say if that fails
    except KeyboardInterrupt:
        print(f"\n{name}: interrupted", file=sys.stderr)
        code = 130
    except BrokenPipeError:
        code = 1
    except UserError as error:
        print(f"{name}: {error}", file=sys.stderr)
    except (OSError, MemoryError, RecursionError) as error:
        print(f"{name}: {explain(error)}", file=sys.stderr)
    discard()
    return code


def discard():
    """Give up what cannot be written to stdout: Python would complain again when it ends."""
    try:
        sys.stdout.flush()
    except OSError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
