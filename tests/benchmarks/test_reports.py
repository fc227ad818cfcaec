import json

import pytest

from benchmarks.bounds import Criterion, Evaluations, Faster, Memory, Seconds, verdicts
from benchmarks.compare import compare, compare_rounds
from benchmarks.page import PAGE, blocks, filled
from benchmarks.records import Record, Results, last_line, load, record, save
from benchmarks.report import evaluations_text, line, megabytes, seconds_text

MACHINE = {"cpu": "a processor", "cores": 2, "memory_gb": 16, "system": "Linux x86_64", "python": "3.11"}


def ok(model, peer, seconds, **more):
    values = {"bytes": 5e7, "criterion": 1743.6282720, "kind": "REML", "evaluations": 5, "n": 180, "q": 36}
    return Record(model, peer, "ok", first_seconds=2 * seconds, seconds=(seconds,), **(values | more))


def results(*records):
    return Results(MACHINE, {one.key: one for one in records})


def test_median_is_that_of_the_repeats_and_the_first_fit_without_them():
    assert (
        record({"model": "m", "peer": "p", "status": "ok", "first_seconds": 9.0, "seconds": [1, 5, 2]}).median_seconds
        == 2
    )
    assert record({"model": "m", "peer": "p", "status": "ok", "first_seconds": 9.0}).median_seconds == 9.0


def test_the_last_whole_line_of_a_stopped_process_counts():
    output = 'hello\n{"status": "ok", "seconds": [1]}\n{"status": "ok", "seconds": [1, 2]}\n{"status": "ok", "sec'
    assert last_line(output) == {"status": "ok", "seconds": [1, 2]}
    assert last_line("nothing\n[1]\n") is None


def test_a_record_of_unknown_status_is_refused():
    with pytest.raises(ValueError, match="'fine' is no status"):
        record({"model": "m", "peer": "p", "status": "fine"})


def test_results_survive_their_file_and_keep_what_is_not_measured_again(tmp_path):
    path = tmp_path / "results.json"
    save(results(ok("sleepstudy", "lme4", 0.01), ok("sleepstudy", "glmm", 0.02)), path)
    save(load(path).merged([ok("sleepstudy", "glmm", 0.03)]), path)
    back = load(path)
    assert back == results(ok("sleepstudy", "lme4", 0.01), ok("sleepstudy", "glmm", 0.03))
    assert json.loads(path.read_text())["machine"] == MACHINE


@pytest.mark.parametrize(
    ("seconds", "text"),
    [(0.0000321, "0.0321 ms"), (0.0042, "4.20 ms"), (0.1, "0.100 s"), (12.345, "12.3 s"), (1234.5, "1234 s")],
)
def test_seconds_have_three_digits(seconds, text):
    assert seconds_text(seconds) == text


def test_bytes():
    assert [megabytes(size) for size in (4.2e6, 123.4e6, 24e9)] == ["4.20 MB", "123 MB", "24.0 GB"]


def test_a_line_says_what_came_of_a_fit():
    assert "4.00 ms" in line(ok("sleepstudy", "lme4", 0.004))
    assert line(Record("Pastes", "gpboost", "unsupported", "no such thing")).endswith("unsupported: no such thing")


def test_bound_on_a_ratio():
    measured = results(ok("InstEval", "lmmsparse", 0.5), ok("InstEval", "lme4", 5.0))
    assert Faster("InstEval", "lme4", 10).verdict(measured).holds is True
    assert Faster("InstEval", "lme4", 10.1).verdict(measured).holds is False
    assert Faster("InstEval", "glmm", 3).verdict(measured).holds is None
    slower = results(ok("m", "lmmsparse", 0.5), ok("m", "glmm", 0.3))
    assert Faster("m", "glmm", 0.5).verdict(slower).holds is True
    assert Faster("m", "glmm", 0.7).verdict(slower).holds is False


def test_a_peer_that_was_stopped_took_at_least_its_limit():
    stopped = Record("m", "lme4", "timeout", limit=100.0)
    assert Faster("m", "lme4", 60).verdict(results(ok("m", "lmmsparse", 1.0), stopped)).holds is True
    assert Faster("m", "lme4", 60).verdict(results(ok("m", "lmmsparse", 2.0), stopped)).holds is None


def test_bounds_on_seconds_and_memory():
    measured = results(ok("m", "lmmsparse", 0.5, bytes=4e8))
    assert [Seconds("m", limit).verdict(measured).holds for limit in (0.5, 0.4)] == [True, False]
    assert [Memory("m", limit).verdict(measured).holds for limit in (4e8, 3e8)] == [True, False]


def test_bound_on_evaluations():
    counts = [ok(str(i), "lmmsparse", 1.0, evaluations=count) for i, count in enumerate((4, 5, 12))]
    assert Evaluations(12, 5).verdict(results(*counts)).holds is True
    assert Evaluations(11, 5).verdict(results(*counts)).holds is False
    assert Evaluations(12, 4).verdict(results(*counts)).holds is False


def test_bound_on_the_criterion_counts_exact_peers_of_the_same_kind():
    ours = ok("m", "lmmsparse", 1.0, criterion=100.0)
    assert Criterion().verdict(results(ours, ok("m", "lme4", 1.0, criterion=100.0 - 5e-7))).holds is True
    assert Criterion().verdict(results(ours, ok("m", "glmm", 1.0, criterion=100.0 - 2e-6))).holds is False
    assert Criterion().verdict(results(ours, ok("m", "lme4", 1.0, criterion=90.0, kind="ML"))).holds is None
    assert Criterion().verdict(results(ours, ok("m", "gpboost", 1.0, criterion=90.0))).holds is None
    large = ok("m", "lmmsparse", 1.0, criterion=1e6)
    assert Criterion().verdict(results(large, ok("m", "lme4", 1.0, criterion=1e6 - 5e-5))).holds is True


def test_nothing_measured_breaks_no_bound():
    assert {one.holds for one in verdicts(results())} == {None}


def test_blocks_of_a_page_are_replaced_and_nothing_else():
    page = "a\n<!-- begin x -->\nold\n<!-- end x -->\nb \\1\n<!-- begin y -->\n<!-- end y -->\n"
    once = filled(page, {"x": "new \\1 | text"})
    assert once == page.replace("\nold\n", "\n\nnew \\1 | text\n\n")
    assert filled(once, {"x": "new \\1 | text"}) == once
    with pytest.raises(ValueError, match="no markers of 'z'"):
        filled(page, {"z": ""})


def test_the_page_has_markers_for_every_block():
    contents = blocks(results(ok("sleepstudy", "lmmsparse", 0.004)))
    text = filled(PAGE.read_text(encoding="utf-8"), contents)
    assert all(content in text for content in contents.values())


def test_tables():
    contents = blocks(
        results(
            ok("sleepstudy", "lmmsparse", 0.004, criterion_ml=1751.9, version="lmmsparse 0.1"),
            ok("sleepstudy", "glmm", 0.001, criterion=1743.7282720, version="glmm 1"),
            ok("sleepstudy", "gpboost", 0.001, criterion=1751.9, kind="ML", evaluations=None),
            Record("sleepstudy", "statsmodels", "timeout", "no fit within 9 s", limit=9.0),
            Record("sleepstudy", "lme4", "missing", "Rscript is not on the path"),
        )
    )
    assert contents["seconds"].splitlines() == [
        "| model | lmmsparse | lme4 | glmm | gpboost | statsmodels |",
        "| --- | --: | --: | --: | --: | --: |",
        "| sleepstudy | 4.00 ms | missing | 1.00 ms | 1.00 ms | > 9 s |",
    ]
    assert contents["criteria"].splitlines()[-1] == "| sleepstudy | 1743.6283 |  | +0.1 | = (ML) |  |"
    assert contents["models"].splitlines()[-1] == r"| sleepstudy | `Reaction ~ Days + (Days\|Subject)` | 180 | 36 |"
    assert "- lme4, sleepstudy: missing: Rscript is not on the path" in contents["missing"]
    assert "- glmm: glmm 1" in contents["machine"]


def test_comparison_of_two_results():
    base = results(ok("a", "lmmsparse", 1.0), ok("b", "lmmsparse", 1.0), ok("c", "lmmsparse", 1.0))
    head = results(
        ok("a", "lmmsparse", 1.2),
        ok("b", "lmmsparse", 1.4, bytes=9e7),
        Record("c", "lmmsparse", "failed", "it broke"),
    )
    a, b, c = compare(base, head, tolerance=1.3)
    assert a.faults == ()
    assert b.faults == ("1.40 times the seconds", "1.75 times the memory")
    assert c.faults == ("failed: it broke",)


def test_comparison_takes_the_median_of_the_rounds():
    base = [ok("a", "lmmsparse", 1.0), ok("a", "lmmsparse", 1.0), ok("a", "lmmsparse", 1.0)]
    head = [ok("a", "lmmsparse", 1.1), ok("a", "lmmsparse", 9.0), ok("a", "lmmsparse", 1.0)]
    assert compare_rounds(base, head, tolerance=1.3).seconds == pytest.approx(1.1, rel=1e-3)


def test_tiny_differences_are_noise():
    base, head = ok("a", "lmmsparse", 1e-5, bytes=0.0), ok("a", "lmmsparse", 3e-5, bytes=5e5)
    assert compare_rounds([base], [head], tolerance=1.3).faults == ()


def test_evaluations_of_other_searches_are_shown():
    assert evaluations_text(ok("m", "lmmsparse", 1.0, evaluations=7, evaluations_all=152)) == "7 of 152"
    assert evaluations_text(ok("m", "lmmsparse", 1.0, evaluations=7, evaluations_all=7)) == "7"
    assert evaluations_text(ok("m", "lme4", 1.0, evaluations=70)) == "70"
    assert "7 of 152 evaluations" in line(ok("m", "lmmsparse", 1.0, evaluations=7, evaluations_all=152))
