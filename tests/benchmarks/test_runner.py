import stat
import sys
from dataclasses import replace

import pytest

from benchmarks.__main__ import parser
from benchmarks.models import MODELS
from benchmarks.peers import PEERS, Peer, Programs
from benchmarks.runner import Settings, run

DYESTUFF = [MODELS["Dyestuff"]]
SETTINGS = Settings(repeats=1, threads=1, timeout=60.0)


def one_record(peer, settings=SETTINGS):
    (record,) = run(DYESTUFF, [PEERS[peer]], settings)
    return record


def program(tmp_path, text):
    """An interpreter that does not care what it is asked."""
    path = tmp_path / "program"
    path.write_text(f"#!{sys.executable}\n{text}\n")
    path.chmod(path.stat().st_mode | stat.S_IXUSR)
    return replace(SETTINGS, programs=Programs(python=str(path), rscript=str(path)))


def test_a_fit_in_its_own_process():
    record = one_record("lmmsparse")
    assert (record.status, record.kind, record.evaluations, record.n, record.q) == ("ok", "REML", 4, 30, 6)
    assert record.criterion == pytest.approx(319.6542768, abs=1e-6)
    assert record.criterion_ml == pytest.approx(327.3270599, abs=1e-6)
    assert len(record.seconds) == 1
    assert 0 < record.median_seconds < record.first_seconds + 1
    assert record.version.startswith("lmmsparse 0.")
    assert record.threads == "1"


def test_a_python_program_that_is_not_installed_is_missing():
    (record,) = run(DYESTUFF, [Peer("absent", "absent")], SETTINGS)
    assert record.status == "missing"
    assert "No module named 'benchmarks.peers.absent'" in record.reason


def test_an_interpreter_that_is_not_there_is_missing(tmp_path):
    settings = replace(SETTINGS, programs=Programs(rscript=str(tmp_path / "none")))
    assert one_record("lme4", settings).status == "missing"


def test_a_program_that_breaks_has_failed(tmp_path):
    record = one_record("glmm", program(tmp_path, "raise SystemExit('no more memory')"))
    assert (record.status, record.reason) == ("failed", "ended with status 1: no more memory")


def test_a_program_that_is_killed_has_failed(tmp_path):
    record = one_record("glmm", program(tmp_path, "import os; os.kill(os.getpid(), 9)"))
    assert record.status == "failed"
    assert record.reason.startswith("ended by SIGKILL")


def test_a_program_that_takes_too_long_is_stopped(tmp_path):
    settings = replace(program(tmp_path, "import time; time.sleep(60)"), timeout=0.3)
    record = one_record("lme4", settings)
    assert (record.status, record.reason, record.limit) == ("timeout", "no fit within 0.3 s", 0.3)


def test_what_a_stopped_program_has_measured_is_kept(tmp_path):
    said = '{"status": "ok", "first_seconds": 3.0, "seconds": [2.0], "criterion": 1.0}'
    text = f"import time\nprint('{said}', flush=True)\ntime.sleep(60)"
    record = one_record("lme4", replace(program(tmp_path, text), timeout=2.0))
    assert (record.status, record.median_seconds) == ("ok", 2.0)


def test_unknown_names_are_refused(capsys):
    with pytest.raises(SystemExit):
        parser().parse_args(["run", "--models", "sleepstudy,nonsense"])
    assert "no nonsense: choose from Dyestuff" in capsys.readouterr().err


def test_names_are_split_at_commas():
    args = parser().parse_args(["run", "--models", "sleepstudy,InstEval", "--peers", "lme4"])
    assert (args.models, args.peers) == (["sleepstudy", "InstEval"], ["lme4"])
