"""The `headrace` command, run within the tests' process."""

from headrace.cli import main


__all__ = ["call", "error"]


def call(capsys, *args):
    """Exit code, stdout and stderr of a command."""
    code = main([str(a) for a in args])
    out, err = capsys.readouterr()
    return code, out, err


def error(capsys, *args):
    """The one line that a command that must be refused prints."""
    code, out, err = call(capsys, *args)
    assert code == 2 and out == "" and err.startswith("headrace: ") and err.count("\n") == 1, err
    return err.removeprefix("headrace: ").rstrip("\n")
