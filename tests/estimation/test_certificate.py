"""What a fit says of how its search ended."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse import lmer
from lmmsparse.errors import IdentifiabilityWarning
from lmmsparse.estimation.certificate import OptInfo
from lmmsparse.estimation.fit import fit
from lmmsparse.search.protocols import Evaluation
from tests.designs import Case, make_case, make_term
from tests.oracle import KEYWORDS


class TestCertificate:
    def info(self, case: Case, **options: object) -> OptInfo:
        return fit(case.objective(), **options)[1]  # type: ignore[arg-type]

    def test_of_a_regular_fit(self, sleepstudy: Case) -> None:
        objective = sleepstudy.objective()
        estimates, info = fit(objective)
        assert info.message == "converged"
        assert 0 <= info.predicted_decrease <= 1e-10
        gradient = objective.working.differentiate(estimates.point).gradient
        assert info.gradient_norm == pytest.approx(np.abs(gradient).max(), rel=1e-6, abs=1e-10)
        assert info.gradient_norm < 1e-3
        assert_array_equal(info.hessian_eigenvalues, np.sort(info.hessian_eigenvalues))
        assert info.hessian_eigenvalues[0] > 0
        assert info.boundary == {} and info.flat == ()
        assert info.plan is objective.plan

    @pytest.mark.parametrize("optimizer", ["newton", "cobyqa"])
    def test_history_and_count(self, dyestuff2: Case, optimizer: str) -> None:
        seen: list[Evaluation] = []
        objective = dyestuff2.objective()
        estimates, info = fit(objective, optimizer=optimizer, watch=seen.append)
        assert info.evaluations == len(info.history) == len(seen)
        for reported, kept in zip(seen, info.history, strict=True):
            assert_array_equal(reported.theta, kept.theta)
            assert reported.value == kept.value
            assert objective(kept.theta) == pytest.approx(kept.value, abs=1e-7)  # in the user's units
            assert (kept.theta >= 0).all()
        assert info.history[-1].value == estimates.criterion

    def test_a_search_that_is_cut_short(self, sleepstudy: Case) -> None:
        estimates, info = fit(sleepstudy.objective(), max_evaluations=2)
        assert not info.converged
        assert info.evaluations <= 3
        assert "not converged after" in info.message and "predicted to lower" in info.message
        assert info.predicted_decrease > 1e-10
        assert estimates.criterion == pytest.approx(sleepstudy.oracle(estimates.theta).value, rel=1e-10)

    def test_which_terms_are_empty(self) -> None:
        case = make_case("crossed", [[(1, True)], [(2, False)]], n=96, seed=1)
        flat = replace(case, y=np.random.default_rng(3).normal(size=96))
        estimates, info = fit(flat.objective())
        assert estimates.singular
        assert all(value > -1e-6 for value in info.boundary.values())
        assert set(info.boundary) <= {"a.c0", "b.c0", "b.c1"}
        for name in info.boundary:
            assert estimates.theta[["a.c0", "b.c0", "b.c1"].index(name)] == 0.0

    def test_boundary_scores_are_derivatives_by_the_variance(self, dyestuff2: Case) -> None:
        objective = dyestuff2.objective()
        (score,) = fit(objective)[1].boundary.values()
        h = 1e-6  # of θ²
        assert score == pytest.approx((objective([np.sqrt(h)]) - objective([0.0])) / h, rel=1e-4)


class TestPerfectFits:
    group, x = np.repeat(np.arange(8), 6), np.random.default_rng(0).normal(size=48)
    X = np.column_stack([np.ones(48), x])

    @pytest.mark.parametrize("scale", [1.0, 1e-8, 1e8])
    def test_fixed_effects_reproduce_the_response(self, scale: float) -> None:
        estimates, info = fit(Case(scale * (3 + 2 * self.x), self.X, (make_term(self.group),)).objective())
        assert estimates.perfect
        assert_allclose(estimates.beta, [3 * scale, 2 * scale], rtol=1e-13)
        assert estimates.sigma < 1e-13 * scale
        assert_array_equal(estimates.theta, [0.0])
        assert info.message.startswith("perfect fit")

    def test_random_effects_reproduce_the_response(self) -> None:
        """σ → 0 and θ → ∞: there is no optimum, and the verdict says so."""
        effects = np.random.default_rng(1).normal(size=8)
        estimates, info = fit(Case(3 + 2 * self.x + effects[self.group], self.X, (make_term(self.group),)).objective())
        assert estimates.perfect
        assert not info.converged
        assert "residual variance is zero" in info.message
        assert estimates.beta[1] == pytest.approx(2, rel=1e-6)
        assert estimates.sigma < 1e-5
        assert np.isfinite(estimates.criterion)
        b = estimates.b[0].ravel()
        assert_allclose(b - b.mean(), effects - effects.mean(), atol=1e-5)


class TestNotIdentified:
    group = np.repeat(np.arange(8), 6)

    def case(self, *terms: object) -> Case:
        rng = np.random.default_rng(2)
        X = np.ones((48, 1))
        return Case(1.5 * rng.normal(size=8)[self.group] + rng.normal(size=48), X, terms)  # type: ignore[arg-type]

    def test_an_intercept_twice(self) -> None:
        once, _ = fit(self.case(make_term(self.group)).objective())
        twice, info = fit(self.case(make_term(self.group), make_term(self.group)).objective())
        assert twice.criterion == pytest.approx(once.criterion, abs=1e-8)
        assert np.hypot(*twice.theta) == pytest.approx(once.theta[0], rel=1e-4)
        assert info.converged
        assert info.flat == ("g.c0", "g.c0")
        assert "cannot tell apart" in info.message

    def test_a_factor_under_two_names(self) -> None:
        once, _ = fit(self.case(make_term(self.group)).objective())
        terms = make_term(self.group, group="a"), make_term(self.group[::-1][::-1] + 5, group="b")
        twice, info = fit(self.case(*terms).objective())
        assert twice.criterion == pytest.approx(once.criterion, abs=1e-8)
        assert info.flat == ("a.c0", "b.c0")

    def test_identified_models_are_not_accused(self, sleepstudy: Case, dyestuff: Case) -> None:
        for case in (sleepstudy, dyestuff, make_case("nested three deep", [[(1, True)]] * 3, n=200, seed=3)):
            assert fit(case.objective())[1].flat == ()


@pytest.mark.parametrize("kind", KEYWORDS)
def test_every_structure_has_a_certificate(kind: str) -> None:
    """Scores at the boundary are derivatives by parameters or variances, and there are none inside."""
    rng, seen = np.random.default_rng(5), set()
    for seed in range(8):
        case = make_case("one", [[(2, kind)]], n=96, seed=seed)
        flat = replace(case, y=case.y if seed % 2 else rng.normal(size=96))
        estimates, info = fit(flat.objective())
        assert info.converged and estimates.singular == bool(info.boundary)
        assert all(score >= -1e-6 * max(1.0, abs(score)) for score in info.boundary.values())
        assert info.evaluations <= len(info.history) <= info.evaluations_all and info.hessian_eigenvalues.shape == (
            case.n_theta,
        )
        assert ("boundary (singular) fit" in info.message) == estimates.singular
        seen.add(estimates.singular)
    assert seen == {True, False}


def test_a_correlation_at_its_end_is_named() -> None:
    """The derivative inwards is that with respect to the correlation."""
    rng = np.random.default_rng(0)
    group, f = np.repeat(np.arange(20), 12), np.tile(np.arange(3), 80)
    b = rng.normal(size=20)[group]
    case = Case(b + rng.normal(size=240), np.ones((240, 1)), (make_term(group, np.eye(3)[f], "a", "homcs"),))
    for seed in range(6):  # until the optimum is there
        case = replace(case, y=b + np.random.default_rng(seed).normal(size=240))
        objective = case.objective()
        estimates, info = fit(objective)
        if estimates.singular:
            break
    assert list(info.boundary) == ["a.rho"] and estimates.theta[1] == 1.0
    assert info.message.endswith("the correlation of c0, c1, c2 in a is 1, the end of its range")
    h = 1e-6
    slope = (objective(estimates.theta - [0.0, h]) - objective(estimates.theta)) / h
    assert info.boundary["a.rho"] == pytest.approx(slope, rel=1e-2)


def test_a_variance_that_fixed_effects_have_taken_is_not_identified() -> None:
    """Alone, for slopes as well, and beside a term that is singular."""
    rng = np.random.default_rng(0)
    g, h, x = np.arange(60) % 5, np.arange(60) % 7, rng.normal(size=60)
    data = {"y": rng.normal(size=60), "g": np.array(list("abcde"))[g], "h": h, "x": x}
    with pytest.warns(IdentifiabilityWarning, match="cannot tell anything of g"):
        assert lmer("y ~ g + (1 | g)", data).optinfo.flat == ("g.(Intercept)",)
    with pytest.warns(IdentifiabilityWarning):
        assert lmer("y ~ 0 + g + g:x + (x || g)", data).optinfo.flat == ("g.(Intercept)", "g.x")
    exact = data | {"y": data["y"] - np.bincount(h, data["y"])[h] / np.bincount(h)[h]}
    with pytest.warns(IdentifiabilityWarning):
        m = lmer("y ~ g + (1 | g) + (1 | h)", exact)
    assert m.optinfo.flat == ("g.(Intercept)",) and m.is_singular()
    assert "also cannot tell anything of g" in m.optinfo.message
