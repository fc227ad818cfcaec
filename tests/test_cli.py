"""The command line, called as a function and as a program."""

import os
import re
import subprocess
import sys

import pytest

from lmmsparse import __version__
from lmmsparse.cli import main


@pytest.fixture
def sleep_csv(dataset, tmp_path):
    path = tmp_path / "sleep.csv"
    dataset("sleepstudy").to_csv(path, index=False)
    return str(path)


def test_fit_prints_the_summary(sleep_csv, capsys):
    assert main(["fit", "Reaction ~ Days + (Days | Subject)", sleep_csv]) == 0
    out = capsys.readouterr().out
    assert "REML criterion at convergence: 1743.6" in out
    assert "Number of obs: 180, groups:  Subject, 18" in out


def test_fit_reads_parquet_and_fits_by_ml(dataset, tmp_path, capsys):
    path = tmp_path / "sleep.parquet"
    dataset("sleepstudy").to_parquet(path)
    assert main(["fit", "Reaction ~ Days + (Days | Subject)", str(path), "--ml"]) == 0
    assert re.search(r"1763\.9\s+1783\.1\s+-876\.0\s+1751\.9\s+174", capsys.readouterr().out)


def test_weights_are_a_column(dataset, tmp_path, capsys):
    path = tmp_path / "weighted.csv"
    dataset("sleepstudy").assign(w=lambda d: d.Days + 1).to_csv(path, index=False)
    assert main(["fit", "Reaction ~ Days + (Days | Subject)", str(path), "--weights", "w"]) == 0
    assert "REML criterion at convergence: 1791.7" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("formula", "words"),
    [("Reaction ~ Dayz + (1 | Subject)", "Dayz"), ("Reaction ~ Days", "No random effects terms specified")],
)
def test_an_error_is_one_message_and_exit_status_1(sleep_csv, capsys, formula, words):
    assert main(["fit", formula, sleep_csv]) == 1
    captured = capsys.readouterr()
    assert captured.out == "" and words in captured.err and "Traceback" not in captured.err


def test_a_missing_file_is_named(capsys):
    assert main(["fit", "y ~ (1 | g)", "nowhere.csv"]) == 1
    assert "nowhere.csv" in capsys.readouterr().err


def test_a_path_beyond_all_limits_is_one_message(capsys):
    assert main(["fit", "Reaction ~ Days + (1 | Subject)", "a" * 5000]) == 1
    assert capsys.readouterr().err.startswith("lmmsparse: ")


FIT = [sys.executable, "-m", "lmmsparse", "fit", "Reaction ~ Days + (1 | Subject)"]


def test_who_reads_the_output_may_stop(sleep_csv):
    with subprocess.Popen([*FIT, sleep_csv], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as running:
        running.stdout.close()
        assert running.stderr.read() == ""
    assert running.returncode == 0


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="a device of Linux")
def test_a_full_disk_behind_the_output_is_one_message(sleep_csv):
    with open("/dev/full", "w") as full:
        done = subprocess.run([*FIT, sleep_csv], stdout=full, stderr=subprocess.PIPE, text=True)
    assert done.returncode == 1
    assert done.stderr.startswith("lmmsparse: [Errno 28]")
    assert "Traceback" not in done.stderr


def test_a_terminal_without_the_characters_gets_question_marks(sleep_csv):
    environment = os.environ | {"PYTHONIOENCODING": "ascii"}
    done = subprocess.run([*FIT, sleep_csv], capture_output=True, text=True, env=environment)
    assert (done.returncode, done.stderr) == (0, "")
    assert "Signif. codes" in done.stdout


def test_warnings_go_to_standard_error(dataset, tmp_path, capsys):
    path = tmp_path / "dyestuff2.csv"
    dataset("Dyestuff2").to_csv(path, index=False)
    assert main(["fit", "Yield ~ 1 + (1 | Batch)", str(path)]) == 0
    assert "SingularFitWarning: boundary (singular) fit" in capsys.readouterr().err


def test_demo_fits_three_models(capsys):
    assert main(["demo"]) == 0
    out = capsys.readouterr().out
    for criterion in ("1743.6", "330.9", "237733.8"):
        assert f"REML criterion at convergence: {criterion}" in out
    assert re.search(r"InstEval\s+73421\s+\d+\s+\d+\.\d+", out)


def test_runs_as_a_module():
    done = subprocess.run([sys.executable, "-m", "lmmsparse", "--version"], capture_output=True, text=True, check=True)
    assert done.stdout.strip() == f"lmmsparse {__version__}"
