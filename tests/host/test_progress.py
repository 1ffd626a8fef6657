from host.progress import below, progress, steps

from .terminal import on_terminal


SCRIPT = """
from host.progress import below, progress, steps
with steps("building") as step:
    step("one"); step("two")
with progress("reading") as report:
    report(1, 2, "reading on")
    print("kept")
print("text", end="")
below("1,234 cycles")
below()
print(" and more")
"""


def test_on_a_terminal():
    seen = on_terminal("-c", SCRIPT)
    for part in "building: one", "reading on", "1/2", "kept", "1,234 cycles":
        assert part in seen
    # The cursor is saved and restored around the line below.
    assert seen.endswith(" and more\r\n") and seen.count("\x1b7") == seen.count("\x1b8") == 2


def test_stdout_has_nothing_but_the_answer(tmp_path):
    with open(tmp_path / "out", "w") as out:
        assert "reading on" in on_terminal("-c", SCRIPT, stdout=out)
    assert (tmp_path / "out").read_text() == "kept\ntext and more\n"


def test_nothing_where_there_is_no_terminal(capsys):
    with progress("reading") as report:
        report(1, 2)
        report(what="reading on")
    below("there")
    below()
    assert capsys.readouterr() == ("", "")


def test_steps_are_lines(capsys):
    with steps("building"):
        pass
    assert capsys.readouterr() == ("", "")
    with steps("building") as step:
        step("one")
        step("two")
    assert capsys.readouterr() == ("", "building: one\nbuilding: two\n")
