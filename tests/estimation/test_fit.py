"""From an objective to estimates and their certificate."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.estimation import fit as fit_module
from lmmsparse.estimation import starts
from lmmsparse.estimation.fit import fit
from tests.designs import Case, Float, cases, generated, make_case, make_term, random_theta


def slopes_without_intercepts(seed: int, reml: bool = True) -> Case:
    """Every group has the mean 0, so its intercept has no variance: λ = [[0, 0], [0, c]] or another root of that."""
    rng = np.random.default_rng(seed)
    group, x = np.repeat(np.arange(8), 6), np.tile(np.arange(6) - 2.5, 8)
    y = rng.normal(size=8)[group] * x + 0.5 * rng.normal(size=48)
    y -= (np.bincount(group, y) / 6)[group]
    columns = np.column_stack([np.ones(48), x])
    return Case(y, columns, (make_term(group, columns),), None, reml)


def empty_singular_values(case: Case, theta: Float, share: float = 1e-3) -> int:
    """Directions of all templates that have next to no variance, in working coordinates."""
    objective = case.objective()
    working, inside = objective.working, objective.to_working(theta)
    templates = [block.structure.template(inside[block.parameters]) for block in working.blocks]
    return sum(int((np.linalg.svd(template)[1] < share).sum()) for template in templates)


def assert_in_bounds(theta: Float, case: Case) -> None:
    lower, upper = case.objective().bounds()
    assert (theta >= lower).all(), f"{theta} is below {lower}"
    assert (theta <= upper).all(), f"{theta} is above {upper}"
    assert not np.signbit(theta[theta == 0]).any()


class TestPublishedFits:
    """lme4's answers."""

    def test_dyestuff(self, dyestuff: Case) -> None:
        objective = dyestuff.objective()
        assert objective([1.0]) == pytest.approx(319.792389042002, abs=1e-9)
        assert objective([0.0]) == pytest.approx(326.023232155879, abs=1e-9)
        estimates, info = fit(objective)
        assert estimates.criterion == pytest.approx(319.654276842, abs=1e-8)
        assert_allclose(estimates.theta, [0.848330], atol=2e-5)
        assert_allclose(estimates.beta, [1527.5], rtol=1e-12)
        assert estimates.sigma == pytest.approx(49.5101, rel=1e-5)
        assert info.converged and not estimates.singular
        assert info.evaluations <= 6

    def test_sleepstudy(self, sleepstudy: Case) -> None:
        objective = sleepstudy.objective()
        for theta, value in (((1, 0, 1), 1773.680331), ((0, 0, 0), 1893.663663), ((1, 0, 0), 1787.398921)):
            assert objective(theta) == pytest.approx(value, abs=1e-6)
        assert sleepstudy.objective(reml=False)((1, 0, 1)) == pytest.approx(1784.642296, abs=1e-6)
        estimates, info = fit(objective)
        assert estimates.criterion == pytest.approx(1743.62827196, abs=1e-7)
        assert_allclose(estimates.theta, [0.966734, 0.015169, 0.230910], atol=2e-5)
        assert_allclose(estimates.beta, [251.405105, 10.467286], rtol=1e-8)
        assert_allclose(np.sqrt(np.diag(estimates.fixed_covariance)), [6.824597, 1.545790], rtol=1e-5)
        assert estimates.solution is estimates.point  # its former name
        assert estimates.sigma == pytest.approx(25.591796, rel=1e-5)
        assert info.evaluations <= 8

    def test_dyestuff2_has_no_batch_variance(self, dyestuff2: Case) -> None:
        estimates, info = fit(dyestuff2.objective())
        assert_array_equal(estimates.theta, [0.0])
        assert not np.signbit(estimates.theta).any()
        assert estimates.criterion == pytest.approx(161.828277812, abs=1e-8)
        assert estimates.sigma == pytest.approx(3.715684274, rel=1e-9)
        assert estimates.singular and info.converged
        assert "boundary (singular) fit" in info.message
        assert_allclose(list(info.boundary.values()), [9.905], rtol=1e-3)
        assert_array_equal(estimates.b[0], np.zeros((6, 1)))
        assert info.evaluations <= 10


class TestBoundary:
    @pytest.mark.parametrize("start", [0.0, 1e-9, 1e-4, 0.1, 30.0])
    def test_leaves_it_when_the_data_want_variance(self, dyestuff: Case, start: float) -> None:
        estimates, info = fit(dyestuff.objective(), start=np.array([start]))
        assert_allclose(estimates.theta, [0.848330], atol=2e-5)
        assert info.converged and not estimates.singular and not info.boundary

    @pytest.mark.parametrize("start", [0.0, 1e-9, 1e-4, 0.1, 30.0])
    def test_stays_when_they_do_not(self, dyestuff2: Case, start: float) -> None:
        estimates, info = fit(dyestuff2.objective(), start=np.array([start]))
        assert_array_equal(estimates.theta, [0.0])
        assert estimates.criterion == pytest.approx(161.8282778122885, rel=1e-12)
        assert estimates.singular and info.converged

    @pytest.mark.parametrize("start", [(0, 0, 0), (0, 0, 1), (1, 0, 0), (0, 1, 0), (0, 1, 1)])
    def test_leaves_any_singular_start(self, sleepstudy: Case, start: tuple[float, ...]) -> None:
        estimates, info = fit(sleepstudy.objective(), start=np.array(start, dtype=float))
        assert_allclose(estimates.theta, [0.966734, 0.015169, 0.230910], atol=2e-4)
        assert estimates.criterion == pytest.approx(1743.62827196, abs=1e-7)
        assert info.converged and not estimates.singular

    @pytest.mark.parametrize("start", [None, (1.0, 0.7, 0.5), (1.0, 2.0, 0.1), (-1.0, 0.5, -0.5), (0.0, 0.0, 1.0)])
    @pytest.mark.parametrize("seed", [0, 1, 2])
    def test_an_empty_first_direction_is_seen_from_every_start(
        self, start: tuple[float, ...] | None, seed: int
    ) -> None:
        case = slopes_without_intercepts(seed)
        best = fit(case.objective())[0].criterion
        estimates, info = fit(case.objective(), start=None if start is None else np.array(start))
        assert estimates.criterion == pytest.approx(best, rel=1e-9)
        assert estimates.singular and "rank 1 of 2" in info.message
        assert not info.flat
        assert_in_bounds(estimates.theta, case)
        covariance = estimates.templates[0] @ estimates.templates[0].T
        assert_allclose(covariance / covariance[1, 1], [[0, 0], [0, 1]], atol=1e-4)
        if start is not None and start[0] == 0.0:  # the search never left it
            assert_array_equal(estimates.theta[:2], 0.0)

    @pytest.mark.parametrize("start", [1.0, -1.0, -1e-3])
    def test_a_tiny_variance_is_no_empty_one(self, start: float) -> None:
        """θ ≈ 5e-4: setting it to zero would cost more than rounding; its sign is that of the bounds."""
        rng = np.random.default_rng(0)
        group = np.repeat(np.arange(10), 200)
        means, noise = rng.normal(size=10), rng.normal(size=2000)
        means, noise = means - means.mean(), noise - (np.bincount(group, noise) / 200)[group]
        # the balanced one-way layout: θ² = (m−1)/m · S_b/S_w − 1/m
        within, between = noise @ noise, 200 * means @ means
        scale = np.sqrt((5e-4**2 + 1 / 200) * (200 / 199) * within / between)
        case = Case(5 + scale * means[group] + noise, np.ones((2000, 1)), (make_term(group),), None, False)
        estimates, _ = fit(case.objective(), start=np.array([start]))
        assert estimates.theta[0] == pytest.approx(5e-4, rel=0.05)
        assert not estimates.singular
        assert estimates.criterion < case.objective()([0.0])

    @pytest.mark.parametrize("kind", ["us", "diag", "homdiag", "cs", "homcs"])
    def test_no_variance_is_left_whatever_the_correlation(self, kind: str) -> None:
        """Where nothing varies no correlation is any different: the criterion may fall inwards with another one."""
        rng = np.random.default_rng(10)
        g, f = np.arange(240) % 40, np.arange(240) // 40 % 3
        y = 0.3 * rng.normal(size=40)[g] + rng.normal(size=240)
        objective = Case(y, np.eye(3)[f], (make_term(g, np.eye(3)[f], "g", kind),)).objective()
        lowest = fit(objective)[0]
        estimates, _ = fit(objective, start=np.zeros_like(lowest.theta))
        assert estimates.criterion == pytest.approx(lowest.criterion, abs=1e-6)

    @generated
    @given(cases())
    def test_every_fit_is_in_bounds_and_called_singular_when_it_is(self, case: Case) -> None:
        estimates, info = fit(case.objective(y=case.y - 2 * case.y.mean() * (np.arange(len(case.y)) % 2)))
        assert_in_bounds(estimates.theta, case)
        assert estimates.singular == bool(info.boundary)
        if not estimates.singular and not estimates.perfect and not info.flat:
            assert empty_singular_values(case, estimates.theta, 1e-5) == 0


@settings(generated, max_examples=20)
@given(cases(n=96))
def test_no_start_finds_less(case: Case) -> None:
    objective = case.objective()
    estimates, info = fit(objective)
    rng = np.random.default_rng(0)
    assert info.converged
    low, high = objective.bounds()
    for _ in range(2):
        start = [random_theta(t.structure.keyword, t.structure.size, rng) for t in case.terms]
        other, _ = fit(objective, start=np.concatenate(start))
        nearby = estimates.theta + 0.05 * rng.normal(size=case.n_theta)
        nearby = np.where(np.isfinite(high), np.clip(nearby, low, high), nearby)
        assert estimates.criterion <= objective(nearby) + 1e-8
        if np.abs(other.theta - estimates.theta).max() < 0.5:  # a few levels allow several minima
            assert estimates.criterion == pytest.approx(other.criterion, rel=1e-8)


class TestSecondMinima:
    """Few rows a parameter: the nearest minimum is not the lowest."""

    def test_of_a_small_vector_valued_model(self, monkeypatch: pytest.MonkeyPatch) -> None:
        rng = np.random.default_rng(40)
        case = make_case("crossed", [[(2, True)], [(2, True)]], reml=False, n=30, seed=40)
        y = rng.normal(size=30)
        for term in case.terms:
            y = y + 0.7 * (term.columns * rng.normal(size=(len(term.levels), 2))[term.codes]).sum(axis=1)
        objective = case.objective(y=y)
        lowest, info = fit(objective)
        monkeypatch.setattr(fit_module, "spread_ends", lambda _: None)
        monkeypatch.setattr(starts, "OTHER_STARTS", ())
        nearest, _ = fit(objective)
        assert info.converged
        assert lowest.criterion < nearest.criterion - 1.0
        assert info.evaluations < info.evaluations_all and len(info.minima) > 1

    def test_at_zero_variances(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(starts, "OTHER_STARTS", ())
        rng = np.random.default_rng(1478)
        case = make_case("one", [[(2, False)]], p=1, reml=False, n=14, seed=1478)
        objective = case.objective(y=rng.standard_t(2, size=14))
        estimates, info = fit(objective)
        assert_array_equal(estimates.theta, [0.0, 0.0])
        assert estimates.criterion == pytest.approx(objective([0.0, 0.0]), rel=1e-12)
        assert info.converged and estimates.singular
        assert min(e.value for e in info.history) >= estimates.criterion - 1e-9


@settings(generated, max_examples=30)
@given(cases(n=96))
def test_estimates_are_those_of_the_textbook_at_theta(case: Case) -> None:
    objective = case.objective()
    estimates, _ = fit(objective)
    oracle = case.oracle(estimates.theta)
    assert estimates.criterion == pytest.approx(oracle.value, rel=1e-10)
    assert estimates.criterion == pytest.approx(objective(estimates.theta), rel=1e-12)
    assert estimates.sigma**2 == pytest.approx(oracle.sigma2, rel=1e-7)
    assert estimates.pwrss == pytest.approx(oracle.r2, rel=1e-7)
    assert_allclose(estimates.beta, oracle.beta, rtol=1e-6, atol=1e-7)
    covariance = oracle.sigma2 * np.linalg.inv(oracle.information_of_beta)
    assert_allclose(estimates.fixed_covariance, covariance, rtol=1e-6, atol=1e-10)
    b = np.concatenate([part.ravel() for part in estimates.b])
    assert_allclose(b, oracle.Lambda @ oracle.u, atol=1e-6 * max(1.0, np.abs(b).max()))
    for u, b_t, template in zip(estimates.u, estimates.b, estimates.templates, strict=True):
        assert_allclose(u @ template.T, b_t, atol=1e-10 * max(1.0, np.abs(b_t).max()))


@pytest.mark.parametrize("mean_square", [0.5, 3.0, 40.0])
@pytest.mark.parametrize("reml", [False, True])
def test_balanced_one_way_layout(mean_square: float, reml: bool) -> None:
    """θ² = max((m−1)R/m − 1/m, 0) with R = S_b/S_w over m rows a group (ML), and from mean squares (REML)."""
    rng = np.random.default_rng(0)
    groups, m = 9, 7
    labels = np.repeat(np.arange(groups), m)
    means, noise = rng.normal(size=groups), rng.normal(size=groups * m)
    means, noise = means - means.mean(), noise - (np.bincount(labels, noise) / m)[labels]
    within = noise @ noise
    # wanted: ratio of the mean squares between and within
    scale = np.sqrt(mean_square * within / (groups * (m - 1)) * (groups - 1) / (m * means @ means))
    case = Case(100 + scale * means[labels] + noise, np.ones((63, 1)), (make_term(labels),), None, reml)
    ratio = mean_square if reml else mean_square * (groups - 1) / groups
    expected = np.sqrt(max((ratio - 1) / m, 0.0))
    estimates, _ = fit(case.objective())
    assert_allclose(estimates.theta, [expected], atol=2e-5)
    assert estimates.singular == (mean_square == 0.5)


@pytest.mark.parametrize("layout", ["one", "nested", "crossed", "nested and crossed"])
def test_cobyqa_agrees(layout: str) -> None:
    case = make_case(layout, [[(2, True)], [(1, True)], [(1, True)]], weighted=True, seed=8)
    a, b = fit(case.objective()), fit(case.objective(), optimizer="cobyqa")
    assert b[0].criterion == pytest.approx(a[0].criterion, abs=1e-7)
    assert_allclose(b[0].theta, a[0].theta, atol=1e-3)
    assert (a[1].optimizer, b[1].optimizer) == ("newton", "cobyqa")
    assert b[1].converged
    assert a[1].evaluations < b[1].evaluations


def test_a_start_in_the_users_units(sleepstudy: Case) -> None:
    objective = sleepstudy.objective()
    theta = fit(objective)[0].theta
    _, info = fit(objective, start=theta)
    assert info.evaluations <= 2
    assert_allclose(info.history[0].theta, theta, rtol=1e-10)


def test_fitting_leaves_the_objective_as_it_was(sleepstudy: Case) -> None:
    objective = sleepstudy.objective()
    theta = np.array([1.0, 0.2, 0.3])
    before, start = objective(theta), np.array([0.5, 0.1, 0.2])
    fit(objective, start=start)
    assert objective(theta) == before
    assert_array_equal(start, [0.5, 0.1, 0.2])
