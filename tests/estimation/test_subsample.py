"""A start from a part of the data saves evaluations of the whole, and never decides where the search ends."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.estimation import fit as fitting
from lmmsparse.estimation import subsample as thinning
from lmmsparse.estimation.fit import fit
from lmmsparse.estimation.subsample import thinned_design, thinned_start
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective
from tests.designs import Case, make_case, make_term, needs_cholmod, sparse_cores


def crossed(
    n: int = 14_000,
    levels: tuple[int, int] = (1200, 820),
    *,
    slope: bool = False,
    weighted: bool = False,
    sd: float = 0.7,
) -> Case:
    """Two crossed factors, of which the second is the core; levels of unequal frequency."""
    rng = np.random.default_rng(7)
    labels = [np.concatenate([np.arange(q), np.minimum(rng.geometric(3.0 / q, size=n - q) - 1, q - 1)]) for q in levels]
    a, b = (rng.permutation(label) for label in labels)
    x = rng.normal(size=n)
    y = 1.0 + 0.5 * x + sd * (rng.normal(size=levels[0])[a] + rng.normal(size=levels[1])[b]) + rng.normal(size=n)
    columns = np.column_stack([np.ones(n), x])
    terms = (make_term(a, columns if slope else None, "a"), make_term(b, group="b"))
    return Case(y, columns, terms, rng.uniform(0.5, 2.0, size=n) if weighted else None)


@pytest.fixture(scope="module")
def objective() -> Objective:
    return crossed().objective()


def without(monkeypatch: pytest.MonkeyPatch, objective: Objective) -> Any:
    with monkeypatch.context() as patch:
        patch.setattr(fitting, "thinned_start", lambda _: None)
        return fit(objective)


def test_the_same_optimum_in_fewer_evaluations(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    assert objective.plan.core.kind == "dense" and objective.plan.core.size == 820
    with single_threaded_blas():  # as within a fit: with more threads sums differ in the last digit
        start = thinned_start(objective)
    assert start is not None
    theta, evaluations = start
    assert theta.shape == (2,) and 2 <= evaluations <= thinning.MOST_EVALUATIONS
    found, info = fit(objective)
    plain, plain_info = without(monkeypatch, objective)
    assert found.criterion == pytest.approx(plain.criterion, abs=1e-8)
    assert_allclose(found.theta, plain.theta, rtol=1e-5)
    assert_allclose(found.beta, plain.beta, rtol=1e-6)
    assert info.converged and plain_info.converged
    assert info.evaluations <= min(5, plain_info.evaluations)
    # the part is near the whole
    assert_allclose(objective.to_user(theta), found.theta, rtol=0.2)
    assert_array_equal(info.history[0].theta, objective.to_user(theta))


@pytest.mark.parametrize("changes", [{"slope": True}, {"weighted": True}, {"sd": 0.0}], ids=str)
def test_other_designs(changes: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    """Slopes, weights, and data without the effects that the model has."""
    objective = crossed(**changes).objective()
    assert thinned_start(objective) is not None
    found, info = fit(objective)
    plain, plain_info = without(monkeypatch, objective)
    assert found.criterion == pytest.approx(plain.criterion, abs=1e-7)
    assert info.converged
    assert info.evaluations <= plain_info.evaluations + 1


def test_small_cores_are_not_thinned(monkeypatch: pytest.MonkeyPatch) -> None:
    assert thinned_start(make_case("crossed", [[(1, True)], [(1, True)]]).objective()) is None
    assert thinned_start(make_case("nested", [[(1, True)], [(1, True)]]).objective()) is None


def test_a_start_of_the_users_is_kept_to(objective: Objective, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fitting, "thinned_start", lambda _: pytest.fail("there is a start"))
    _, info = fit(objective, start=np.array([0.4, 0.6]))
    assert_allclose(info.history[0].theta, [0.4, 0.6])


def rank_deficient() -> Case:
    """A column of X that only one rare level of the core has, so that the part is likely to lack it."""
    case = crossed()
    codes = case.terms[1].codes
    rare = np.argsort(np.bincount(codes), kind="stable")[0]
    return replace(case, X=np.column_stack([case.X, codes == rare]))


def constant_part() -> Case:
    """A column that all rows have but those of one rare level."""
    case = rank_deficient()
    return replace(case, X=np.column_stack([case.X[:, 1], 1.0 - case.X[:, 2], case.X[:, 0]]))


@pytest.mark.parametrize("case", [rank_deficient, constant_part])
def test_a_part_of_lower_rank_is_no_help_and_no_harm(case: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    objective = case().objective()
    part, _ = thinned_design(objective.design, 1, 300)
    assert np.linalg.matrix_rank(part.X) == 2 < objective.design.X.shape[1]
    assert thinned_start(objective) is None
    found, info = fit(objective)
    assert info.converged
    assert found.criterion == pytest.approx(without(monkeypatch, objective)[0].criterion, abs=1e-8)


def test_the_rows_of_some_levels(objective: Objective) -> None:
    """The part has all rows of the levels that are kept, and no others; unused levels are dropped."""
    design = objective.design
    part, rows = thinned_design(design, 1, 100)
    block, kept = design.blocks[1], part.blocks[1]
    assert kept.n_levels == 100
    chosen = np.unique(block.codes[rows])
    assert len(chosen) == 100 and np.isin(block.codes, chosen).sum() == len(rows)
    assert_array_equal(part.X, design.X[rows])
    for one, all_rows in zip(part.blocks, design.blocks, strict=True):
        assert one.codes.dtype == all_rows.codes.dtype
        assert_array_equal(np.unique(one.codes), np.arange(one.n_levels))
        seen, renumbered = np.unique(all_rows.codes[rows], return_inverse=True)
        assert len(seen) == one.n_levels
        assert_array_equal(one.codes, renumbered)
        assert_array_equal(one.columns, all_rows.columns[rows])
        assert (one.columns.strides[0] == 0) == (all_rows.columns.strides[0] == 0)
    # frequent and rare levels are there in proportion
    counts = np.bincount(block.codes)
    assert counts[chosen].mean() == pytest.approx(counts.mean(), rel=0.2)


@needs_cholmod
def test_a_part_serves_a_sparse_core_as_well(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(thinning, "THINNED_FLOPS", 0.0)
    with sparse_cores():
        objective = crossed().objective()
        assert objective.plan.core.kind == "sparse"
        assert thinned_start(objective) is not None
        found, info = fit(objective)
        plain, plain_info = without(monkeypatch, objective)
    assert found.criterion == pytest.approx(plain.criterion, abs=1e-8)
    assert info.evaluations <= plain_info.evaluations


def test_too_few_rows_a_level_are_no_start() -> None:
    objective = crossed(n=3000).objective()
    assert objective.plan.core.size == 820
    assert thinned_start(objective) is None


def test_weights_and_slopes_are_those_of_the_rows() -> None:
    objective = crossed(slope=True, weighted=True).objective()
    part, rows = thinned_design(objective.design, 1, 50)
    assert 0 < len(rows) < len(objective.y)
    assert_array_equal(part.blocks[0].columns, objective.design.blocks[0].columns[rows])


@pytest.mark.parametrize("levels", [127, 128, 129])
def test_narrow_codes_are_renumbered_without_overflow(levels: int) -> None:
    """A factor of 128 levels has codes of eight bits, which hold 127 and no more."""
    rng = np.random.default_rng(0)
    a, b = np.arange(4000) % levels, rng.integers(400, size=4000)
    case = Case(rng.normal(size=4000), np.ones((4000, 1)), (make_term(b, group="b"), make_term(a, group="a")))
    design = case.objective().design
    narrow = replace(design.blocks[1], codes=a.astype(np.int8 if levels <= 128 else np.int16))
    part, _ = thinned_design(replace(design, blocks=(design.blocks[0], narrow)), 0, 300)
    kept = part.blocks[1]
    assert_array_equal(np.unique(kept.codes), np.arange(kept.n_levels))
    assert kept.n_levels == levels


def test_the_record_tells_of_the_part(objective: Objective) -> None:
    _, info = fit(objective)
    assert info.preliminary >= 2
    assert fit(objective, start=objective.to_user(objective.working.start()))[1].preliminary == 0
    assert info.evaluations == len(info.history)
