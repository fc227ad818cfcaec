"""Measure an earlier version and this one in turns on one machine, and compare them by ratio."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import sysconfig
import tempfile
import venv
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

from benchmarks.compare import Comparison, compare_rounds
from benchmarks.models import Model
from benchmarks.peers import LIBRARY, PEERS
from benchmarks.records import Record
from benchmarks.runner import Settings, measure, prepared

ROOT = Path(__file__).resolve().parent.parent
# Small ones, where the front matters, and middling ones, where the engine does.
MODELS = ("sleepstudy", "sleepstudy-refits", "Pastes", "ScotsSec", "Chem97", "InstEval", "crossed-100k")


def regress(base: str, models: list[Model], rounds: int, tolerance: float, settings: Settings) -> Iterator[Comparison]:
    """Compare the working tree with a commit, model by model.

    Parameters
    ----------
    base : str
        A commit, as git names it.
    models : list of Model
    rounds : int
        Base and head are measured this often, in turns.
    tolerance : float
        Ratio from which on head is worse.
    settings : Settings
        The library's interpreter there is head's.
    """
    with built(base) as python:
        sides = (replace(settings, programs=replace(settings.programs, library=str(python))), settings)
        for model in models:
            with prepared(model) as job:
                records: tuple[list[Record], list[Record]] = ([], [])
                for turn in range(rounds):
                    # who goes first changes, so that a machine that warms up favours nobody
                    for side in (0, 1) if turn % 2 == 0 else (1, 0):
                        records[side].append(measure(job, PEERS[LIBRARY], sides[side]))
            if any(one.status == "ok" for one in records[0]):
                yield compare_rounds(*records, tolerance)


@contextmanager
def built(commit: str) -> Iterator[Path]:
    """Build a commit in a worktree and an environment of its own; the path of its interpreter.

    The environment sees the packages of this one, so that the two versions stand on the same NumPy and SciPy.
    """
    with tempfile.TemporaryDirectory(prefix="benchmarks-base-") as name:
        tree, environment = Path(name, "tree"), Path(name, "environment")
        _git("worktree", "add", "--detach", "--quiet", str(tree), commit)
        try:
            yield install(tree, environment)
        finally:
            _git("worktree", "remove", "--force", str(tree))


def install(tree: Path, environment: Path) -> Path:
    """Install the library of a source tree into a new environment on top of this one."""
    venv.create(environment, with_pip=False)
    python = environment / "bin" / "python"
    packages = Path(sysconfig.get_path("purelib", vars={"base": str(environment), "platbase": str(environment)}))
    # Folders only: the links that an editable package leaves in this environment are not followed from there.
    seen = [path for path in sys.path if path.endswith("site-packages")]
    (packages / "zz_packages_of_head.pth").write_text("\n".join(seen) + "\n", encoding="utf-8")
    # The build finds its tools where the packages are that they belong to.
    folders = [str(Path(path).parents[2] / "bin") for path in seen]
    tools = os.environ | {"PATH": os.pathsep.join([*folders, os.environ["PATH"]])}
    tools["CYTHON"] = shutil.which("cython", path=tools["PATH"]) or "cython"
    options = ["-qq", "--no-deps", "--no-build-isolation", "--disable-pip-version-check"]
    subprocess.run([python, "-m", "pip", "install", *options, tree], check=True, env=tools)
    return python


def _git(*arguments: str) -> None:
    subprocess.run(["git", "-C", str(ROOT), *arguments], check=True)
