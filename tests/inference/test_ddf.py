"""Satterthwaite's and Kenward-Roger's methods against lmerTest, pbkrtest, and definitions written out with V formed."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from numpy.testing import assert_allclose

from lmmsparse import lmer, load_dataset
from lmmsparse.errors import SingularFitWarning
from lmmsparse.inference.kenward_roger import kenward_roger, kr_test
from lmmsparse.inference.uncertainty import uncertainty
from lmmsparse.inference.wald import f_test, joint_df, t_tests
from tests.designs import LAYOUTS, Case, Float, cases_with_theta, generated, make_case

Records = dict[str, dict[str, Any]]


def test_satterthwaite_of_every_coefficient(lme4: Records, fit_record: Callable[..., Any]) -> None:
    known = [record for record in lme4.values() if record.get("satterthwaite")]
    assert len(known) >= 8
    for record in known:
        m, wanted = fit_record(record), record["satterthwaite"]
        tests = t_tests(np.eye(len(m.fixef)), m.fixef.to_numpy(), m.uncertainty)
        # lmerTest differentiates numerically
        assert_allclose(tests.df, np.atleast_1d(wanted["df"]), rtol=1e-4, err_msg=record["id"])
        assert_allclose(tests.statistic, np.atleast_1d(wanted["t"]), rtol=1e-4, err_msg=record["id"])
        assert_allclose(tests.p_value, np.atleast_1d(wanted["p"]), rtol=2e-3, atol=1e-12, err_msg=record["id"])


def test_kenward_roger_of_every_coefficient(lme4: Records, fit_record: Callable[..., Any]) -> None:
    known = [record for record in lme4.values() if record.get("kr") and record["REML"]]
    assert len(known) >= 6
    for record in known:
        m, wanted = fit_record(record), record["kr"]
        kr, beta = m.kenward_roger, m.fixef.to_numpy()
        assert_allclose(
            kr.beta_units * np.sqrt(np.diag(kr.adjusted)), np.atleast_1d(wanted["se"]), rtol=1e-5, err_msg=record["id"]
        )
        df = [kr_test(unit[None], beta, kr).den_df for unit in np.eye(len(beta))]
        assert_allclose(df, np.atleast_1d(wanted["df"]), rtol=1e-4, err_msg=record["id"])


def test_satterthwaite_where_a_correlation_is_at_its_end_is_that_without_it() -> None:
    """No correlation lies beyond 1, so that differences must not go there."""
    rng = np.random.default_rng(1)
    n, groups = 80, 8
    g, f, x = np.r_[np.arange(groups), rng.integers(0, groups, n - groups)], rng.integers(0, 3, n), rng.normal(size=n)
    y = x + rng.normal(size=groups)[g] + rng.normal(size=n)
    data = {"y": y, "x": x, "g": g, "f": np.array(list("abc"))[f]}
    with pytest.warns(SingularFitWarning):
        m = lmer("y ~ f + x + homcs(0 + f | g)", data)
    plain = lmer("y ~ f + x + (1 | g)", data)
    assert m.theta[1] == 1.0
    assert_allclose(m.df_fixed(), plain.df_fixed(), rtol=1e-5)
    wanted = plain.vcov(full=True).to_numpy()[-2:, -2:]
    assert_allclose(m.vcov(full=True).loc[["sd|g", "sigma"], ["sd|g", "sigma"]], wanted, rtol=1e-4)


def test_satterthwaite_of_two_columns_is_the_same_by_either_structure() -> None:
    rng = np.random.default_rng(8)
    n, groups = 80, 8
    g, x = np.r_[np.arange(groups), rng.integers(0, groups, n - groups)], rng.normal(size=n)
    b = rng.normal(size=groups)[g]
    data = {"y": x + b * (1.0 + 0.5 * x) + rng.normal(size=n), "x": x, "g": g}
    with pytest.warns(SingularFitWarning):
        one, other = (lmer(f"y ~ x + {kind}(1 + x | g)", data) for kind in ("cs", "us"))
    assert one.theta[2] == 1.0
    assert_allclose(one.df_fixed(), other.df_fixed(), rtol=1e-4)


def dense_parts(case: Case, theta: Float) -> tuple[Float, Float, list[Float]]:
    """V⁻¹, V⁻¹X and ∂V/∂γ_i for γ = (σ², θ) in units of σ², all n × n; any coordinates of Σ do as well as θ."""
    oracle = case.oracle(theta)
    derivatives = [np.diag(1 / oracle.w), *oracle.slopes]
    inverse = np.linalg.inv(oracle.V)
    return inverse, inverse @ case.X, derivatives


def dense_kenward_roger(case: Case, theta: Float, sigma2: float) -> Float:
    """Adjusted covariance matrix of β̂ by definition (Halekoh and Højsgaard 2014, section 4)."""
    inverse, VX, G = dense_parts(case, theta)
    F = np.linalg.inv(case.X.T @ VX)
    P = [-VX.T @ g @ VX for g in G]
    Q = [[VX.T @ g @ inverse @ h @ VX for h in G] for g in G]
    information = np.array(
        [
            [
                np.trace(inverse @ g @ inverse @ h) - 2 * np.trace(F @ Q[i][j]) + np.trace(F @ P[i] @ F @ P[j])
                for j, h in enumerate(G)
            ]
            for i, g in enumerate(G)
        ]
    )
    W = 2 * np.linalg.inv(information)
    U = sum(W[i, j] * (Q[i][j] - P[i] @ F @ P[j]) for i in range(len(G)) for j in range(len(G)))
    return sigma2 * (F + 2 * F @ U @ F)


@pytest.mark.parametrize("layout", [name for name in LAYOUTS if name not in ("twins", "three crossed")])
@pytest.mark.parametrize("weighted", [False, True])
def test_kenward_roger_by_definition(layout: str, weighted: bool) -> None:
    """At any θ the formulas are the same, so none has to be fitted."""
    case = make_case(layout, [[(1, True)], [(1, True)], [(1, True)]], p=3, weighted=weighted)
    objective = case.objective()
    theta = np.random.default_rng(1).uniform(0.3, 1.0, size=case.n_theta)
    solution = objective.working.exact(objective.to_working(theta))
    known = kenward_roger(objective, solution)
    squares = np.outer(known.beta_units, known.beta_units)
    sigma2 = solution.sigma2 * objective.response.scale**2
    adjusted = dense_kenward_roger(case, theta, sigma2)
    assert_allclose(squares * known.adjusted, adjusted, rtol=1e-6, atol=1e-9 * np.abs(adjusted).max())
    assert_allclose(squares * known.fixed, sigma2 * np.linalg.inv(case.X.T @ dense_parts(case, theta)[1]), rtol=1e-8)


def test_kenward_roger_with_slopes() -> None:
    case = make_case("crossed", [[(2, True)], [(2, False)]], p=2)
    objective = case.objective()
    theta = np.array([0.8, 0.1, 0.5, 0.6, 0.4])
    solution = objective.working.exact(objective.to_working(theta))
    adjusted = dense_kenward_roger(case, theta, solution.sigma2 * objective.response.scale**2)
    known = kenward_roger(objective, solution)
    assert_allclose(np.outer(known.beta_units, known.beta_units) * known.adjusted, adjusted, rtol=1e-6)


@generated
@given(cases_with_theta())
def test_slopes_of_the_covariance_matrix(drawn: tuple[Case, Float]) -> None:
    """Against central differences of σ²(XᵀV⁻¹X)⁻¹ with V formed."""
    case, theta = drawn
    if case.X.shape[1] == 0:
        return
    objective = case.objective()
    working_theta = objective.to_working(theta)
    solution = objective.working.exact(working_theta)
    known = uncertainty(objective, solution)
    squares = np.outer(known.beta_units, known.beta_units)
    fixed, jacobian = squares * known.fixed, squares * known.jacobian
    sigma2 = solution.sigma2 * objective.response.scale**2

    def covariance(at: Float) -> Float:
        return sigma2 * np.linalg.inv(case.X.T @ dense_parts(case, objective.to_user(at))[1])

    assert_allclose(fixed, covariance(working_theta), rtol=1e-7, atol=1e-12 * np.abs(fixed).max())
    for i, unit in enumerate(np.eye(len(theta))):
        numeric = (covariance(working_theta + 1e-5 * unit) - covariance(working_theta - 1e-5 * unit)) / 2e-5
        assert_allclose(jacobian[i], numeric, rtol=1e-4, atol=1e-6 * np.abs(fixed).max())


def test_the_hessian_is_that_of_the_criterion_with_sigma_free() -> None:
    """d(θ, log σ) = d(θ) − m log r² + 2 m log σ + r²/σ² …, differentiated numerically."""
    m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    working, at = m.objective.working, m.estimates.point
    known = uncertainty(m.objective, at)
    degrees, log_sigma = working.degrees, 0.5 * np.log(at.sigma2)

    def criterion(parameters: Float) -> float:
        solution = working.exact(parameters[:-1])
        s = np.exp(2 * (log_sigma + parameters[-1]))
        profiled = degrees * (1 + np.log(solution.pwrss / degrees))
        return solution.value - profiled + degrees * np.log(s) + solution.pwrss / s

    centre, h = np.append(at.theta, 0.0), 1e-3
    units = h * np.eye(len(centre))
    numeric = [
        [
            (
                criterion(centre + a + b)
                - criterion(centre + a - b)
                - criterion(centre - a + b)
                + criterion(centre - a - b)
            )
            / (4 * h**2)
            for b in units
        ]
        for a in units
    ]
    assert_allclose(known.hessian, numeric, rtol=1e-4, atol=1e-3)


def unbalanced() -> Any:
    """Twenty-seven subjects with two to four ages each, in two groups."""
    rng = np.random.default_rng(5)
    subject = np.repeat(np.arange(27), rng.integers(2, 5, size=27))
    age = 8.0 + 2.0 * np.concatenate([np.arange(c) for c in np.bincount(subject)])
    group = (subject < 11).astype(float)
    y = 16 + 0.7 * age - 2 * group + rng.normal(size=27)[subject] * 1.8 + 1.3 * rng.normal(size=len(age))
    return {"y": y, "age": age, "group": group, "subject": subject}


def test_kenward_roger_is_not_satterthwaite() -> None:
    m = lmer("y ~ age * group + (1 | subject)", unbalanced())
    tests = t_tests(np.eye(4), m.fixef.to_numpy(), m.uncertainty)
    df = np.array([kr_test(unit[None], m.fixef.to_numpy(), m.kenward_roger).den_df for unit in np.eye(4)])
    assert (np.abs(df / tests.df - 1) > 1e-3).any()
    assert (np.diag(m.kenward_roger.adjusted) > np.diag(m.kenward_roger.fixed)).all()


def test_units_do_not_matter() -> None:
    data = unbalanced()
    m = lmer("y ~ age + (age | subject)", data)
    moved = lmer("y ~ age + (age | subject)", data | {"y": 1e4 * data["y"] + 3e7, "age": 1e-5 * data["age"]})
    for one, other in ((m.uncertainty, moved.uncertainty),):
        df = [t_tests(np.eye(2), np.ones(2), known).df for known in (one, other)]
        assert_allclose(df[0], df[1], rtol=1e-3)
    assert_allclose(
        kr_test(np.eye(2)[1:], m.fixef.to_numpy(), m.kenward_roger).statistic,
        kr_test(np.eye(2)[1:], moved.fixef.to_numpy(), moved.kenward_roger).statistic,
        rtol=1e-4,
    )


def test_an_f_test_does_not_depend_on_how_its_hypothesis_is_written() -> None:
    m = lmer("y ~ age * group + (1 | subject)", unbalanced())
    L = np.array([[0.0, 1, 0, 0], [0, 0, 0, 1]])
    turned = np.array([[1.0, 2], [0, 3], [1, 5]]) @ L
    one, other = (f_test(rows, m.fixef.to_numpy(), m.uncertainty) for rows in (L, turned))
    assert (one.num_df, other.num_df) == (2, 2)
    assert_allclose(one.statistic, other.statistic, rtol=1e-8)
    # the contrasts that are made independent are not the same ones
    assert_allclose(one.den_df, other.den_df, rtol=1e-3)
    single = f_test(L[:1], m.fixef.to_numpy(), m.uncertainty)
    t = t_tests(L[:1], m.fixef.to_numpy(), m.uncertainty)
    assert_allclose([single.statistic, single.den_df, single.p_value], [t.statistic[0] ** 2, t.df[0], t.p_value[0]])


def test_joint_degrees_of_freedom() -> None:
    assert joint_df(np.array([7.0])) == 7.0
    assert joint_df(np.array([7.0, 7.0])) == pytest.approx(7.0)
    assert joint_df(np.array([1.5, 30.0])) == 2.0
    E = 5 / 3 + 9 / 7
    assert joint_df(np.array([5.0, 9.0])) == pytest.approx(2 * E / (E - 2))


def test_kenward_roger_of_many_columns() -> None:
    """Blocks times treatments, the classical analysis of variance; by sums over five indices it would take minutes."""
    rng = np.random.default_rng(4)
    block, f = np.repeat(np.arange(6), 50), np.tile(np.arange(50), 6)
    y = 3.0 * rng.normal(size=6)[block] + rng.normal(size=300)
    m = lmer("y ~ f + (1 | block)", {"y": y, "f": np.char.add("f", f.astype(str)), "block": block.astype(str)})
    cells = y.reshape(6, 50)
    rest = cells - cells.mean(axis=0) - cells.mean(axis=1, keepdims=True) + cells.mean()
    wanted = 6.0 * ((cells.mean(axis=0) - cells.mean()) ** 2).sum() / 49 / ((rest**2).sum() / 245)
    row = m.anova(ddf="kenward-roger").iloc[0]
    assert_allclose([row["F"], row["DenDF"]], [wanted, 245.0], rtol=1e-6)
    assert_allclose(m.df_fixed("kenward-roger").iloc[1:], 245.0, rtol=1e-6)


def test_with_known_variances_kenward_roger_is_a_chi_squared_test() -> None:
    m = lmer("Reaction ~ Days + (1 | Subject)", load_dataset("sleepstudy"))
    known = replace(m.kenward_roger, W=np.zeros_like(m.kenward_roger.W), A=m.kenward_roger.F)
    test, wald = kr_test(np.eye(2), m.fixef.to_numpy(), known), m.contest(np.eye(2), ddf=None)
    assert (test.den_df, test.scale) == (np.inf, 1.0)
    assert_allclose([test.statistic, test.p_value], wald[["F", "p_value"]].to_numpy()[0], rtol=1e-9)
