from host.progress import below, progress, steps


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
