"""A version against an earlier one: the smallest comparison, of this tree with itself, without building it again."""

import subprocess
import sys
from contextlib import contextmanager
from pathlib import Path

import pytest

from benchmarks import regress
from benchmarks.__main__ import parser
from tests.answers import ROOT

COMMAND = ["regress", "--base", "HEAD", "--models", "Dyestuff", "--rounds", "1", "--repeats", "1", "--threads", "1"]


def status_of(monkeypatch: pytest.MonkeyPatch, tolerance: float) -> int:
    @contextmanager
    def this_tree(commit: str):
        assert commit == "HEAD"
        yield Path(sys.executable)

    monkeypatch.setattr(regress, "built", this_tree)
    args = parser().parse_args([*COMMAND, "--tolerance", str(tolerance)])
    return int(args.work(args))


def test_a_tree_is_no_worse_than_itself(monkeypatch, capsys):
    assert status_of(monkeypatch, tolerance=100.0) == 0
    (line,) = capsys.readouterr().out.splitlines()
    assert line.split()[:3] == ["Dyestuff", "lmmsparse", "seconds"]
    assert line.endswith("ok")


def test_what_is_slower_than_allowed_is_a_failure(monkeypatch):
    assert status_of(monkeypatch, tolerance=0.001) == 1


@pytest.mark.skipif(not (ROOT / ".git").exists(), reason="needs the repository")
def test_a_commit_is_built_in_a_worktree_that_goes_again(monkeypatch):
    monkeypatch.setattr(regress, "install", lambda tree, _: tree)
    with regress.built("HEAD") as tree:
        assert (tree / "lmmsparse" / "__init__.py").exists()
        assert str(tree) in _worktrees()
    assert str(tree) not in _worktrees()


def _worktrees() -> str:
    return subprocess.run(["git", "-C", ROOT, "worktree", "list"], capture_output=True, text=True, check=True).stdout
