"""Profiled likelihoods against lme4's, and against a dense likelihood that is minimised by SciPy."""

from __future__ import annotations

import warnings

import numpy as np
import pandas as pd
import polars
import pytest
from scipy.optimize import minimize

from lmmsparse import lmer, load_dataset
from lmmsparse.covariance import Unstructured
from lmmsparse.errors import ArgumentError, LmmWarning, SingularFitWarning
from lmmsparse.inference.profile.path import hermite
from lmmsparse.inference.profile.profile import profile_limits
from lmmsparse.inference.profile.restricted import RestrictedDeviance, parameters
from tests.answers import answers

RECORDS = answers("inference_profiling.json")
DAYS = "Reaction ~ Days + (Days | Subject)"
# lme4 reads its limits from splines through points whose minima are found without derivatives.
LME4_PRECISION = 2e-4


def quiet(formula, data, **arguments):
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


def dense_deviance(m, covariances, sigma, beta):
    """−2 log L of a model with the covariance matrix of y written out."""
    n = m.nobs
    V = np.diag(sigma**2 / (np.ones(n) if m.frame.weights is None else m.frame.weights))
    for term, S in zip(m.terms, covariances, strict=True):
        V += (term.columns @ S @ term.columns.T) * (term.codes[:, None] == term.codes)
    residual = m.frame.y - m.frame.X @ beta
    return n * np.log(2 * np.pi) + np.linalg.slogdet(V)[1] + residual @ np.linalg.solve(V, residual)


def grouped(seed, spread, groups=12, size=6):
    """Rows with an intercept and a slope that go together, so that their correlation is estimated as 1 or nearly."""
    rng = np.random.default_rng(seed)
    g, x = np.repeat(np.arange(groups), size), np.tile(np.arange(float(size)), groups)
    b = rng.normal(size=groups)[g]
    y = 1 + 0.3 * x + spread * b * (1 + 0.4 * x) + rng.normal(size=groups * size)
    return pd.DataFrame({"y": y, "x": x, "g": g.astype(str)})


@pytest.mark.parametrize("record", RECORDS, ids=lambda r: f"{r['data']} {r['formula']}")
def test_intervals_are_those_of_lme4(record, fit):
    weights = {"weights": np.tile(np.arange(1.0, 6.0), 36)} if record["weights"] else {}
    m = fit(record["formula"], record["data"], **weights)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        table = m.profile(level=0.95, points=3).conf_int(0.95, lme4_names=True)
    assert sorted(table.index) == sorted(record["names"])
    if record["data"] == "Dyestuff2":  # nor does it find σ's where a variance is zero
        table = table.drop(index=".sigma")
    if record["weights"]:  # lme4 gives limits of β that do not even hold the estimate when there are weights
        table = table.drop(index=["(Intercept)", "Days"])
    want = pd.DataFrame({"conf_low": record["lower"], "conf_high": record["upper"]}, index=record["names"], dtype=float)
    widths = (want["conf_high"] - want["conf_low"]).to_numpy()
    for column in ("conf_low", "conf_high"):
        error = np.abs(table[column].to_numpy() - want.loc[table.index, column].to_numpy())
        assert (error <= LME4_PRECISION * widths[[record["names"].index(n) for n in table.index]]).all(), error


@pytest.mark.parametrize("record", [r for r in RECORDS if "curves" in r], ids=lambda r: r["data"])
def test_curves_are_those_of_lme4(record, fit):
    profile = fit(record["formula"], record["data"]).profile()
    for name, points in record["curves"].items():
        curve = profile[name]
        zeta, value = np.array(points["zeta"]), np.array(points["value"])
        inside = (np.abs(zeta) > 1e-6) & (zeta > curve.zeta[0]) & (zeta < curve.zeta[-1])
        assert inside.sum() >= 3
        at = [hermite(curve.zeta, curve.coordinate, curve.slope, z) for z in zeta[inside]]
        got = curve.parameter.from_coordinate(np.array(at))
        np.testing.assert_allclose(got, value[inside], rtol=0, atol=1e-4 * np.ptp(curve.values), err_msg=name)


def test_sleepstudy_published_limits(fit):
    table = profile_limits(fit(DAYS, "sleepstudy"), 0.95)
    want = {
        "sd_(Intercept)|Subject": (14.38147, 37.71599),
        "cor_Days.(Intercept)|Subject": (-0.4815, 0.6850),
        "sd_Days|Subject": (3.80116, 8.75339),
        "sigma": (22.89827, 28.85800),
        "Days": (7.35865, 13.57592),
    }
    assert list(table.columns) == ["conf_low", "conf_high"]
    for name, limits in want.items():
        np.testing.assert_allclose(table.loc[name], limits, atol=1e-3, err_msg=name)


@pytest.mark.parametrize("name", [".sig01", ".sig02", ".sig03", ".sigma", "Days"])
def test_ends_against_a_dense_likelihood_minimised_by_scipy(name, fit):
    """At an end of the interval the lowest dense deviance lies χ²₁(0.95) above the minimum."""
    m = fit(DAYS, "sleepstudy", REML=False)
    curve = m.profile(name, level=0.95, points=3).curves[0]
    every = parameters(m.terms, m.frame.fixed_names)
    position = every.index(curve.parameter)

    def deviance(rest, value):
        full = np.insert(rest, position, value)
        a, cor, b, sigma = full[0], full[1], full[2], full[3]
        if not (abs(cor) < 1 and sigma > 0):
            return 1e10
        return dense_deviance(m, [np.array([[a * a, a * b * cor], [a * b * cor, b * b]])], sigma, full[4:])

    for value, side in zip(curve.interval(), (0, -1), strict=True):
        start = np.delete(curve.others[side], position)
        found = minimize(deviance, start, args=(value,), method="Nelder-Mead", options={"xatol": 1e-6, "fatol": 1e-8})
        assert found.fun - m.criterion == pytest.approx(1.959963985**2, abs=2e-5)


@pytest.mark.parametrize("spread", [1.0, 0.25])
def test_singular_fits_against_a_dense_likelihood(spread):
    m = quiet("y ~ x + (x | g)", grouped(3, spread), REML=False)
    assert m.is_singular()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        profile = m.profile(level=0.95)
    for curve in profile.curves[:3]:
        which = curve.parameter.effects

        def deviance(z, value, kind=curve.parameter.kind, which=which):
            A = np.array([[z[0], 0.0], [z[1], z[2]]])
            S = A @ A.T
            d = np.sqrt(np.diag(S))
            if kind == "sd":
                D = np.eye(2)
                D[which[0], which[0]] = value / max(d[which[0]], 1e-12)
                S = D @ S @ D
            else:
                S = np.array([[d[0] ** 2, value * d[0] * d[1]], [value * d[0] * d[1], d[1] ** 2]])
            return dense_deviance(m, [S], np.exp(z[3]), z[4:])

        for value, zeta, others in [
            (curve.values[i], curve.zeta[i], curve.others[i]) for i in range(0, len(curve.zeta), 3)
        ]:
            a, cor, b, sigma = others[0], np.nan_to_num(others[1]), others[2], others[3]
            best = np.inf
            for start in ([a, cor * b, np.sqrt(1 - cor**2) * b], [1.0, 0.3, 0.3], [a, 1e-4, 0.0]):
                first = [*start, np.log(sigma), *others[4:]]
                found = minimize(deviance, first, args=(value,), method="Nelder-Mead", options={"maxiter": 900})
                best = min(best, found.fun)
            assert m.criterion + zeta**2 <= best + 1e-6, curve.name
            assert m.criterion + zeta**2 >= best - 0.01, curve.name


@pytest.mark.filterwarnings("ignore::lmmsparse.errors.LmmWarning")
def test_limits_are_reached_where_the_likelihood_allows_them():
    table = quiet("y ~ x + (x | g)", grouped(3, 1.0)).profile("theta_").conf_int()
    assert table.loc["cor_x.(Intercept)|g", "conf_high"] == 1.0
    assert table.loc["cor_x.(Intercept)|g", "conf_low"] > 0.0
    none = quiet("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff2")).profile(".sig01")
    assert none.conf_int().loc["sd_(Intercept)|Batch", "conf_low"] == 0.0
    assert none.curves[0].estimate == 0.0


def test_correlation_with_an_effect_without_variance_is_free():
    rng = np.random.default_rng(5)
    data = grouped(3, 0.0).assign(y=lambda d: rng.normal(size=len(d)))
    m = quiet("y ~ x + (x | g)", data, REML=False)
    curve = m.profile(".sig02").curves[0]
    if m.varcorr["g"].sd.min() == 0.0:
        assert curve.interval() == (-1.0, 1.0)
    assert curve.zeta[0] > -2.0 or curve.complete[0]


@pytest.mark.parametrize("formula", [DAYS, "Reaction ~ Days + (Days || Subject)"])
def test_gradient_is_that_of_central_differences(formula, fit):
    m = fit(formula, "sleepstudy", REML=False)
    for parameter in parameters(m.terms, m.frame.fixed_names):
        D = RestrictedDeviance(m.objective, m.estimates, parameter)
        assert D(D.start, D.c).value + m.objective.constant == pytest.approx(m.criterion, abs=1e-8)
        rng = np.random.default_rng(1)
        z = np.append(D.start, D.c) + 0.2 * D.scale * rng.uniform(0.2, 1, len(D.scale))
        point = D(z[:-1], z[-1])
        numeric = []
        for i, step in enumerate(1e-4 * D.scale):
            up, down = z.copy(), z.copy()
            up[i] += step
            down[i] -= step
            numeric.append((D(up[:-1], up[-1]).value - D(down[:-1], down[-1]).value) / (2 * step))
        np.testing.assert_allclose(
            point.gradient * D.scale, np.array(numeric) * D.scale, atol=2e-5, err_msg=parameter.name
        )
        a, *correlation, b, sigma = point.quantities
        covariance = np.diag([a, b]) @ (np.eye(2) + sum(correlation) * (1.0 - np.eye(2))) @ np.diag([a, b])
        dense = dense_deviance(m, [covariance], sigma, point.beta)
        assert point.value + m.objective.constant == pytest.approx(dense, abs=1e-7)


def test_three_effects_with_every_correlation(fit):
    m = fit("Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)", "sleepstudy", REML=False)
    assert isinstance(m.terms[0].structure, Unstructured)
    profile = m.profile(level=0.95)
    estimates = dict(zip(profile.parameters, profile.curves[0].others[profile.curves[0].zeta == 0.0][0], strict=True))
    for curve in profile.curves:
        assert all(curve.complete)
        assert curve.estimate == pytest.approx(estimates[curve.name], rel=1e-6)
        assert (np.diff(curve.zeta) > 0).all()
        assert (np.diff(curve.values) > 0).all()
        position = profile.parameters.index(curve.name)
        np.testing.assert_allclose(curve.others[:, position], curve.values, rtol=1e-8)


def test_few_evaluations(fit):
    profile = fit(DAYS, "sleepstudy").profile(level=0.95, points=3)
    assert max(curve.evaluations for curve in profile.curves) <= 45


def test_reml_fits_are_profiled_by_maximum_likelihood(fit):
    one, other = (profile_limits(fit(DAYS, "sleepstudy", REML=reml)) for reml in (True, False))
    pd.testing.assert_frame_equal(one, other, rtol=1e-5)


def test_a_change_of_units_changes_the_limits_alike(fit):
    data = load_dataset("sleepstudy").assign(Days=lambda d: 1e6 * d["Days"], Reaction=lambda d: 1e3 * d["Reaction"])
    table = profile_limits(lmer(DAYS, data))
    want = profile_limits(fit(DAYS, "sleepstudy"))
    factor = np.array([1e3, 1.0, 1e-3, 1e3, 1e3, 1e-3])[:, None]
    np.testing.assert_allclose(table, want * factor, rtol=1e-5)


def test_names_of_both_kinds(fit):
    m = fit(DAYS, "sleepstudy")
    profile = m.profile([".sig03", "sigma"])
    assert profile.names == ("sd_Days|Subject", "sigma")
    assert profile[".sigma"].name == profile["sigma"].name == "sigma"
    assert list(profile.conf_int(lme4_names=True).index) == [".sig03", ".sigma"]
    assert list(profile_limits(m, 0.9, [".sig03", "sigma"]).index) == [".sig03", "sigma"]
    assert m.profile("beta_").names == ("(Intercept)", "Days")
    assert m.profile("theta_").names[-1] == "sigma"
    record = next(r for r in RECORDS if r["formula"] == "Reaction ~ Days + (Days|Subject)")
    assert [p.lme4_name for p in parameters(m.terms, m.frame.fixed_names)] == record["names"]
    assert [p.name for p in parameters(m.terms, m.frame.fixed_names)] == record["readable"]


def test_frame_of_curves(fit):
    table = fit(DAYS, "sleepstudy").profile("Days", points=2).to_frame()
    assert list(table.columns[:3]) == ["parameter", "value", "zeta"]
    assert list(table.columns[3:]) == list(
        ("sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject", "sd_Days|Subject", "sigma", "(Intercept)", "Days")
    )
    np.testing.assert_allclose(table["Days"], table["value"])
    m = lmer(DAYS, polars.from_pandas(load_dataset("sleepstudy")))
    assert isinstance(m.profile("Days", points=1).to_frame(), polars.DataFrame)


def test_levels(fit):
    profile = fit(DAYS, "sleepstudy").profile("Days", level=0.9)
    narrow, wide = profile.conf_int(0.5), profile.conf_int(0.9)
    assert wide.loc["Days", "conf_low"] < narrow.loc["Days", "conf_low"] < narrow.loc["Days", "conf_high"]
    with pytest.raises(ArgumentError, match=r"reaches level 0\.9 only; use profile\(level=0\.99\)"):
        profile.conf_int(0.99)


def test_progress_names_the_parameters(fit, capsys):
    fit(DAYS, "sleepstudy").profile(["Days", "sigma"], points=1, progress=True)
    assert capsys.readouterr().err.splitlines() == ["profile: 1 of 2, Days", "profile: 2 of 2, sigma"]


def test_curves_are_chosen_by_part(fit):
    profile = fit(DAYS, "sleepstudy").profile(["Days", "sigma"], points=1)
    assert list(profile.conf_int(parm="theta_").index) == ["sigma"]
    assert list(profile.conf_int(parm="beta_").index) == ["Days"]
    with pytest.raises(ArgumentError, match="no parameter 'theta_'"):
        fit(DAYS, "sleepstudy").profile("Days", points=1).conf_int(parm="theta_")


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"which": "days"}, "no parameter 'days'; did you mean 'Days'"),
        ({"which": [".sig04"]}, "no parameter '.sig04'"),
        ({"which": 3}, "no parameter 3"),
        ({"level": 95}, "level must be a number between 0 and 1"),
        ({"level": "a"}, "level must be a number between 0 and 1"),
        ({"points": 0}, "points must be a positive integer"),
    ],
)
def test_bad_arguments(arguments, message, fit):
    with pytest.raises(ArgumentError, match=message):
        fit(DAYS, "sleepstudy").profile(**arguments)


def test_interpolation_is_exact_for_cubics():
    zeta = np.array([-1.0, 0.5, 2.0])

    def c(z):
        return z**3 / 6 + z + 3

    got = [hermite(zeta, c(zeta), 1 / (zeta**2 / 2 + 1), z) for z in (-0.3, 1.7, 2.05)]
    np.testing.assert_allclose(got, [c(z) for z in (-0.3, 1.7, 2.05)])


def test_a_singular_fit_is_not_announced_again():
    """Neither its refit by maximum likelihood, nor one that is singular only there, is what was asked for."""
    rng = np.random.default_rng(14)
    data = {"y": rng.normal(size=40), "x": rng.normal(size=40), "g": np.repeat(list("abcdefgh"), 5)}
    with pytest.warns(SingularFitWarning):
        m = lmer("y ~ x + (x | g)", data)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        m.profile("x")
        m.conf_int(method="profile", parm="sigma")


def test_a_correlation_at_its_end_may_leave_it_along_the_profile():
    rng = np.random.default_rng(0)
    n, k, groups = 80, int(rng.integers(2, 5)), 8
    g = np.r_[np.arange(groups), rng.integers(0, groups, n - groups)]
    f, x = rng.integers(0, k, n), rng.normal(size=n)
    y = x + rng.normal(size=groups)[g] + 0.8 * rng.normal(size=(groups, k))[g, f] + rng.normal(size=n)
    data = {"y": y, "x": x, "g": g, "f": np.array(list("abcd"))[f]}
    one, other = (quiet(f"y ~ f + x + {kind}(1 + x | g)", data, REML=False) for kind in ("cs", "us"))
    assert one.theta[2] == -1.0
    for name in ("f[T.c]", "sigma"):
        limits = [m.conf_int(parm=name, method="profile").iloc[0, 1:].astype(float) for m in (one, other)]
        assert limits[0].tolist() == pytest.approx(limits[1].tolist(), rel=1e-4)


@pytest.mark.parametrize("evaluations", [1, 2, 3, 4])
def test_a_fit_that_has_not_converged_is_profiled_with_a_warning(evaluations):
    """Below its deviance ζ is 0 at several points, between which nothing bends."""
    g, rng = np.arange(60) % 6, np.random.default_rng(3)
    data = {"y": rng.normal(size=60) + g, "x": rng.normal(size=60), "g": g}
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        m = lmer("y ~ x + (x | g)", data, control={"max_evaluations": evaluations})
    assert not m.converged
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        profile = m.profile()
    assert any("below that of the fit was met" in str(one.message) for one in told)
    assert len(profile.names) == 6
