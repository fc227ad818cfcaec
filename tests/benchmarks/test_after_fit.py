"""The table of what is done after a fit."""

from benchmarks.after_fit import SCRIPT, TASKS, fit, table


def test_tasks_can_be_done() -> None:
    """Every task of the small model."""
    for task in TASKS:
        if not task.large:
            assert task.action(fit(False)) is not None


def test_the_table_has_ratios_where_r_has_the_task() -> None:
    """Blanks where it has not."""
    ours = {task.name: 0.5 for task in TASKS}
    lines = table(ours, {"profile": 10.0}).splitlines()
    assert len(lines) == 2 + len(TASKS)
    assert "| profile intervals of all parameters | 0.5 | 10 | 20 |" in lines
    assert "| leverages | 0.5 |  |  |" in lines


def test_names_in_r_are_names_of_tasks() -> None:
    """A counterpart under another name would be left out without a word."""
    names = [line.split('"')[1] for line in SCRIPT.read_text().splitlines() if line.startswith('report("')]
    assert names
    assert set(names) <= {task.name for task in TASKS}
