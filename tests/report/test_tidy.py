"""Tables, intervals and summaries of a fit against lmerTest and lme4, and against a dense likelihood."""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pandas as pd
import polars as pl
import pytest
from scipy.stats import norm
from scipy.stats import t as t_distribution

import lmmsparse.inference.conf_int
import lmmsparse.report.summary
from lmmsparse import lmer, load_dataset
from lmmsparse.errors import ArgumentError, DataError, LmmError, LmmWarning
from tests.answers import answers

Fit = Callable[..., Any]
Dataset = Callable[[str], pd.DataFrame]

DAYS = "Reaction ~ Days + (Days | Subject)"
COLUMNS = "effect group term estimate std_error statistic df p_value conf_low conf_high".split()
REFERENCE = answers("inference_reporting.json")
FITS = {record["id"]: record for record in REFERENCE["fits"]}
# Not printed alike: a variance that lme4's optimizer leaves just across a rounding edge, digits of df that
# lmerTest's numerical Hessian does not have, and I(Days^2), which has the name I(Days ** 2) here.
UNPRINTED = {"sleepstudy_ml", "sleepstudy_intercept_ml", "cake", "sleepstudy_three_columns"}
TESTED = [(name, method) for name, record in FITS.items() for method in record["methods"]]


@pytest.fixture
def recorded(fit: Fit) -> Callable[[str], Any]:
    """Our fit of a record."""

    def recorded_fit(name: str) -> Any:
        record = FITS[name]
        rows = {} if record["rows"] is None else {"subset": np.array(record["rows"])}
        return fit(record["formula"], record["data"], REML=record["REML"], **rows)

    return recorded_fit


@pytest.fixture
def model(fit: Fit) -> Any:
    """The maximal model of sleepstudy."""
    return fit(DAYS, "sleepstudy")


def quiet(formula: str, data: Any, **arguments: Any) -> Any:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", LmmWarning)
        return lmer(formula, data, **arguments)


# -- summaries --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), [pair for pair in TESTED if pair[0] not in UNPRINTED])
def test_the_summary_is_that_of_lmertest(name: str, method: str, recorded: Callable[[str], Any]) -> None:
    expected = [line for line in FITS[name]["methods"][method]["text"] if not line.startswith("optimizer (")]
    while not expected[-1]:
        expected.pop()
    # how a rank-deficient fit ended, and which rows were chosen, is said in other words
    own = ("boundary (singular)", " Subset:")
    lines = str(recorded(name).summary(ddf=method.lower())).split("\n")
    kept = [line for line in lines if not line.startswith(own)]
    assert kept == [line for line in expected if not line.startswith(own)]


def test_without_degrees_of_freedom_it_is_that_of_lme4(model: Any) -> None:
    text = str(model.summary(ddf=None))
    assert text.startswith("Linear mixed model fit by REML ['lmerMod']\n")
    assert "Pr(>|t|)" not in text and "            Estimate Std. Error t value\n" in text


def test_a_summary_never_fails_for_want_of_degrees_of_freedom(
    model: Any, fit: Fit, monkeypatch: pytest.MonkeyPatch
) -> None:
    rng = np.random.default_rng(1)
    g = np.repeat(np.arange(12), 5)
    perfect = quiet("y ~ x + (1 | g)", {"y": rng.normal(size=12)[g], "x": np.tile(np.arange(5.0), 12), "g": g})
    assert "no degrees of freedom: the residual variance is zero" in str(perfect.summary())
    assert np.isnan(perfect.df_fixed()).all() and np.isnan(perfect.pvalues).all()
    assert "Pr(>|t|)" in str(fit("Yield ~ 1 + (1|Batch)", "Dyestuff2").summary())
    assert "Pr(>|t|)" in str(fit("angle ~ temp + (recipe | replicate)", "cake").summary())

    def fails(*_: Any) -> Any:
        raise np.linalg.LinAlgError("Singular matrix")

    monkeypatch.setattr(lmmsparse.report.summary, "fixed_tests", fails)
    text = str(model.summary())
    assert "no degrees of freedom: Singular matrix" in text and "['lmerMod']" in text


def test_a_large_model_is_summarised_without_them_until_they_are_known(
    dataset: Dataset, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(lmmsparse.report.summary, "AFFORDABLE", 0.0)
    m = lmer("diameter ~ 1 + (1 | plate) + (1 | sample)", dataset("Penicillin"))
    object.__setattr__(m.optinfo, "plan", type("Plan", (), {"flops": 1e15})())
    assert "they take long in a model of this size" in str(m.summary())
    m.df_fixed()
    assert "Pr(>|t|)" in str(m.summary())


# -- fixed effects ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("name", "method"), TESTED)
def test_fixed_effects_are_those_of_lmertest(name: str, method: str, recorded: Callable[[str], Any]) -> None:
    m, expected = recorded(name), FITS[name]["methods"][method]
    table = m.tidy(ddf=method.lower())
    assert list(table.columns) == COLUMNS
    assert set(table["effect"]) == {"fixed"} and list(table["term"]) == list(m.fixef.index)
    np.testing.assert_allclose(table["std_error"], expected["se"], rtol=2e-6)
    np.testing.assert_allclose(table["df"], expected["df"], rtol=1e-4)
    np.testing.assert_allclose(table["statistic"], expected["t"], rtol=2e-5)
    np.testing.assert_allclose(table["p_value"], expected["p"], rtol=3e-3, atol=1e-200)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]], expected["intervals"], rtol=2e-5)
    pd.testing.assert_series_equal(
        m.df_fixed(ddf=method.lower()), pd.Series(table["df"].to_numpy(), index=m.fixef.index, name="df")
    )
    if method == "Satterthwaite":
        np.testing.assert_array_equal(m.pvalues, table["p_value"])


def test_without_degrees_of_freedom_quantiles_are_normal(model: Any) -> None:
    table = model.tidy(ddf=None, level=0.9)
    assert table[["df", "p_value"]].isna().all(axis=None)
    np.testing.assert_allclose(table["conf_high"], model.fixef + norm.ppf(0.95) * model.bse)
    assert list(model.tidy(conf_int=False).columns) == COLUMNS[:-2]


def test_a_model_without_fixed_effects_has_empty_tables(fit: Fit) -> None:
    m = fit("Reaction ~ 0 + (1 | Subject)", "sleepstudy")
    assert len(m.tidy()) == len(m.pvalues) == len(m.df_fixed()) == 0
    assert list(m.conf_int()["term"]) == ["sd_(Intercept)|Subject", "sigma"]
    assert "No fixed" in str(m) and str(m.summary())


# -- variance parameters ----------------------------------------------------------------------------------------


def dense_reml(parameters: np.ndarray, y: np.ndarray, X: np.ndarray, Z: np.ndarray, group: np.ndarray) -> float:
    """REML criterion of y ~ X + (Z | group) at sd, correlation, sd and σ, with V formed."""
    s0, r, s1, sigma = parameters
    cov = np.array([[s0**2, r * s0 * s1], [r * s0 * s1, s1**2]])
    V = (group[:, None] == group) * (Z @ cov @ Z.T) + sigma**2 * np.eye(len(y))
    W = np.linalg.inv(V)
    XWX = X.T @ W @ X
    e = y - X @ np.linalg.solve(XWX, X.T @ W @ y)
    return float(np.linalg.slogdet(V)[1] + np.linalg.slogdet(XWX)[1] + e @ W @ e)


def test_covariances_of_standard_deviations_are_twice_the_inverse_of_a_dense_hessian(dataset: Dataset) -> None:
    data = dataset("sleepstudy").iloc[:90]
    m = lmer(DAYS, data)
    full = m.vcov(full=True)
    names = ["sd_(Intercept)|Subject", "cor_Days.(Intercept)|Subject", "sd_Days|Subject", "sigma"]
    assert list(full.columns) == list(full.index) == ["(Intercept)", "Days", *names]
    centre = m.conf_int(parm="theta_")["estimate"].to_numpy()
    days = data["Days"].to_numpy(float)
    X = np.column_stack([np.ones(90), days])
    group = data["Subject"].astype(str).to_numpy()
    step, hessian = 1e-3 * np.abs(centre), np.empty((4, 4))

    def at(*moves: np.ndarray) -> float:
        return dense_reml(centre + sum(moves), data["Reaction"].to_numpy(float), X, X, group)

    E = np.diag(step)
    for i in range(4):
        for j in range(4):
            cross = at(E[i], E[j]) - at(E[i], -E[j]) - at(-E[i], E[j]) + at(-E[i], -E[j])
            hessian[i, j] = cross / (4 * step[i] * step[j])
    expected = 2.0 * np.linalg.inv(hessian)
    scale = np.sqrt(np.outer(np.diag(expected), np.diag(expected)))
    np.testing.assert_allclose(full.loc[names, names] / scale, expected / scale, atol=1e-3)
    pd.testing.assert_frame_equal(full.iloc[:2, :2], m.vcov())
    assert (full.iloc[:2, 2:] == 0.0).all(axis=None)
    np.testing.assert_allclose(m.tidy("ran_pars")["std_error"], np.sqrt(np.diag(full)[2:]))


@pytest.mark.parametrize("name", REFERENCE["sd_errors"])
def test_standard_errors_are_those_of_a_hessian_of_lme4(name: str, recorded: Callable[[str], Any]) -> None:
    table, errors = recorded(name).tidy("ran_pars"), np.array(REFERENCE["sd_errors"][name])
    np.testing.assert_allclose(table["std_error"], errors, rtol=2e-4)
    estimate = table["estimate"].to_numpy()
    is_sd = table["term"].str.startswith("sd__").to_numpy()
    for column, z in (("conf_low", norm.ppf(0.025)), ("conf_high", norm.ppf(0.975))):
        sds = np.exp(np.log(estimate[is_sd]) + z * errors[is_sd] / estimate[is_sd])
        np.testing.assert_allclose(table.loc[is_sd, column], sds, rtol=2e-4)
        r = estimate[~is_sd]
        correlations = np.tanh(np.arctanh(r) + z * errors[~is_sd] / (1 - r**2))
        np.testing.assert_allclose(table.loc[~is_sd, column], correlations, rtol=1e-3)


def test_names_of_variance_parameters(fit: Fit) -> None:
    table = fit(DAYS, "sleepstudy").tidy("ran_pars")
    assert list(table.columns) == COLUMNS
    assert list(table["group"]) == ["Subject", "Subject", "Subject", "Residual"]
    assert list(table["term"]) == ["sd__(Intercept)", "cor__(Intercept).Days", "sd__Days", "sd__Observation"]
    np.testing.assert_allclose(table["estimate"], [24.74043, 0.0655512, 5.922133, 25.59182], rtol=1e-5)
    apart = fit("Reaction ~ Days + (Days || Subject)", "sleepstudy").tidy("ran_pars")
    assert list(apart["term"]) == ["sd__(Intercept)", "sd__Days", "sd__Observation"]


def test_a_large_term_agrees_with_the_variance_components(fit: Fit) -> None:
    m = fit("Reaction ~ Days + I(Days^2) + (Days + I(Days^2) | Subject)", "sleepstudy")
    table, components = m.tidy("ran_pars"), m.varcorr.to_frame()
    assert sorted(table["estimate"]) == pytest.approx(sorted(components["sdcor"]), rel=1e-12)
    by_term = table.set_index("term")["estimate"]
    assert by_term["cor__Days.I(Days ** 2)"] == pytest.approx(m.varcorr["Subject"].correlation[2, 1])


def test_on_the_boundary_there_is_no_standard_error(fit: Fit) -> None:
    m = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2")
    table = m.tidy("ran_pars").set_index("term")
    assert table.loc["sd__(Intercept)", ["std_error", "conf_low", "conf_high"]].isna().all()
    # 29 degrees of freedom: var(σ̂) = σ²/58
    assert table.loc["sd__Observation", "std_error"] == pytest.approx(m.sigma / np.sqrt(58), rel=1e-5)
    assert m.vcov(full=True).isna().sum().sum() == 5 - 2


# -- conditional modes, glance, rows ----------------------------------------------------------------------------


def test_conditional_modes(fit: Fit) -> None:
    m = fit("diameter ~ 1 + (1 | plate) + (1 | sample)", "Penicillin")
    table = m.tidy("ran_vals", level=0.8)
    assert list(table.columns) == [*COLUMNS[:2], "level", *COLUMNS[2:]]
    modes = m.ranef(cond_var=True)
    for group, (frame, variance) in modes.items():
        rows = table[table["group"] == group]
        assert list(rows["level"]) == [str(label) for label in frame.index]
        np.testing.assert_array_equal(rows["estimate"], frame["(Intercept)"])
        np.testing.assert_allclose(rows["std_error"], np.sqrt(variance[:, 0, 0]))
        np.testing.assert_allclose(rows["conf_high"], rows["estimate"] + norm.ppf(0.9) * rows["std_error"])


def test_conditional_modes_of_slopes_stand_level_by_level(model: Any) -> None:
    table = model.tidy("ran_vals")
    assert list(table["term"][:4]) == ["(Intercept)", "Days"] * 2
    wide = table.pivot(index="level", columns="term", values="estimate")
    np.testing.assert_array_equal(wide["Days"], model.ranef()["Subject"]["Days"])


def test_glance(model: Any, fit: Fit) -> None:
    (row,) = model.glance().to_dict("records")
    assert row["nobs"] == 180 and row["df"] == 6 and row["df_resid"] == 174 and row["method"] == "REML"
    assert row["criterion"] == pytest.approx(1743.6283, abs=1e-4) and row["loglik"] == -row["criterion"] / 2
    assert row["converged"] is True and row["singular"] is False
    small = fit("Yield ~ 1 + (1|Batch)", "Dyestuff2", REML=False).glance()
    assert small.loc[0, "method"] == "ML" and bool(small.loc[0, "singular"])


@pytest.mark.parametrize("library", ["pandas", "polars", "pyarrow", "dict"])
def test_rows_of_the_fit_in_the_library_of_the_data(library: str, dataset: Dataset) -> None:
    data = dataset("sleepstudy").assign(Subject=lambda d: d["Subject"].astype(str), w=lambda d: d["Days"] + 1.0)
    data.loc[3, "Reaction"] = np.nan
    if library in ("polars", "pyarrow"):
        module = pytest.importorskip(library)
        given = module.from_pandas(data) if library == "polars" else module.Table.from_pandas(data)
    else:
        given = data if library == "pandas" else {name: data[name].to_numpy() for name in data}
    m = lmer(DAYS, given, weights="w", offset=3.0 * data["Days"].to_numpy())
    for rows in (m.augment(), m.augment(given)):
        assert type(rows) is (pd.DataFrame if library == "dict" else type(given))
        table = rows if isinstance(rows, pd.DataFrame) else rows.to_pandas()
        assert len(table) == m.nobs == 179
        np.testing.assert_allclose(table["Reaction"], data["Reaction"].dropna())
        np.testing.assert_allclose(table["Reaction"], table["fitted"] + table["resid"])
        np.testing.assert_allclose(table["fitted"], table["fixed"] + table["random"])
        np.testing.assert_allclose(table["scaled_resid"], m.resid("scaled"))
        np.testing.assert_allclose(table["fixed"], m.predict(re_form=0))
        np.testing.assert_array_equal(table["weight"], np.delete(data["w"].to_numpy(), 3))
        np.testing.assert_array_equal(table["offset"], np.delete(3.0 * data["Days"].to_numpy(), 3))
        assert list(table["Subject"]) == list(data["Subject"].drop(3))
    for frame in (m.tidy(), m.tidy("ran_pars"), m.tidy("ran_vals"), m.glance(), m.conf_int()):
        assert type(frame) is (pd.DataFrame if library == "dict" else type(given))


def test_a_taken_name_gets_a_dot(dataset: Dataset) -> None:
    data = dataset("sleepstudy").rename(columns={"Days": "fixed"})
    m = lmer("Reaction ~ fixed + (1 | Subject)", data)
    for rows in (m.augment(), m.augment(data)):
        np.testing.assert_array_equal(rows["fixed"], data["fixed"])
        np.testing.assert_allclose(rows[".fixed"], m.predict(re_form=0))
    with pytest.raises(DataError, match="data have 10 rows, but the model was fitted to data with 180"):
        m.augment(data.iloc[:10])


# -- intervals --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", FITS)
def test_names_and_normal_intervals_are_those_of_lme4(name: str, recorded: Callable[[str], Any]) -> None:
    m, record = recorded(name), FITS[name]
    table = m.conf_int(ddf=None)
    ours = ([name.replace("Days ** 2", "Days^2") for name in names] for names in (table.index, table["term"]))
    assert tuple(ours) == (record["names"], record["readable"])
    fixed = len(m.fixef)
    np.testing.assert_allclose(table[["conf_low", "conf_high"]][-fixed:], record["wald"][-fixed:], rtol=2e-5)


def test_wald_intervals(model: Any) -> None:
    table = model.conf_int(level=0.9)
    half = t_distribution.ppf(0.95, model.df_fixed()) * model.bse
    np.testing.assert_allclose(table.loc[["(Intercept)", "Days"], "conf_low"], model.fixef - half)
    same = model.tidy("ran_pars", level=0.9)[["conf_low", "conf_high"]]
    np.testing.assert_array_equal(table.iloc[:4][["conf_low", "conf_high"]], same)


def test_parameters_are_chosen_by_either_name(model: Any) -> None:
    assert list(model.conf_int(parm="sd_Days|Subject").index) == [".sig03"]
    assert list(model.conf_int(parm=["Days", ".sig02", "sigma"]).index) == ["Days", ".sig02", ".sigma"]
    assert list(model.conf_int(parm="theta_").index) == [".sig01", ".sig02", ".sig03", ".sigma"]
    assert list(model.conf_int(parm="beta_").index) == ["(Intercept)", "Days"]


def test_other_methods_are_called_with_lme4s_names(model: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    calls: list[Any] = []

    def limits(m: Any, level: float, parm: list[str]) -> pd.DataFrame:
        calls.append((level, parm))
        backwards = parm[::-1]
        return pd.DataFrame({"lower": range(len(parm)), "upper": 9.0}, index=backwards)

    monkeypatch.setattr(lmmsparse.inference.conf_int, "profile_limits", limits)
    monkeypatch.setattr(lmmsparse.inference.conf_int, "bootstrap_limits", limits)
    wald, profile = model.conf_int(), model.conf_int(method="profile")
    pd.testing.assert_frame_equal(profile[["term", "estimate"]], wald[["term", "estimate"]])
    assert list(profile["conf_low"]) == [5, 4, 3, 2, 1, 0] and (profile["conf_high"] == 9.0).all()
    chosen = model.conf_int(level=0.8, method="boot", parm=["sd_Days|Subject", "Days"])
    assert calls == [(0.95, list(wald.index)), (0.8, [".sig03", "Days"])]
    assert list(chosen.index) == [".sig03", "Days"] and list(chosen["conf_low"]) == [1, 0]


def test_bootstrap_intervals_have_their_replicates_and_seed(model: Any) -> None:
    def ends(**arguments: Any) -> Any:
        return model.conf_int(method="boot", parm="Days", **arguments)[["conf_low", "conf_high"]].to_numpy()

    def replicates(nsim: int, seed: int) -> Any:
        return model.bootstrap(nsim, seed=seed).conf_int(parm="Days")[["conf_low", "conf_high"]].to_numpy()

    np.testing.assert_array_equal(ends(), replicates(1000, 0))
    np.testing.assert_array_equal(ends(nsim=60), replicates(60, 0))
    np.testing.assert_array_equal(ends(nsim=60, seed=4), replicates(60, 4))


# -- bad input --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (
            lambda m: m.conf_int(parm="Dayz"),
            "no parameter 'Dayz'; did you mean 'Days'. There are .sig01 .sd_.Intercept..Subject., .*Days",
        ),
        (lambda m: m.conf_int(parm=["Days", 3]), "no parameter 3"),
        (lambda m: m.conf_int(method="exact"), "method must be one of wald, profile, boot, got 'exact'"),
        (lambda m: m.conf_int(level=95), "level must be a number between 0 and 1, such as 0.95, got 95"),
        (lambda m: m.conf_int(ddf="kr"), "conf_int: ddf must be 'satterthwaite', 'kenward-roger' or None, got 'kr'"),
        (lambda m: m.conf_int(method="boot", ddf=None), "conf_int: only method='wald' takes ddf, got method='boot'"),
        (lambda m: m.conf_int(nsim=100), "conf_int: only method='boot' takes nsim, got method='wald'"),
        (
            lambda m: m.conf_int(method="profile", nsim=9, seed=0),
            "only method='boot' takes nsim and seed, got method='pro",
        ),
        (lambda m: m.conf_int(method="boot", nsim=0), "nsim must be a positive integer, got 0"),
        (lambda m: m.conf_int(method="boot", seed="luck"), "seed must be a non-negative integer"),
        (lambda m: m.tidy("random"), "effects must be one of fixed, ran_pars, ran_vals, got 'random'"),
        (lambda m: m.tidy(level=True), "level must be a number"),
        (lambda m: m.tidy(ddf=3), "tidy: ddf must be"),
        (lambda m: m.summary(ddf="lme4"), "summary: ddf must be"),
        (lambda m: m.df_fixed(None), "df_fixed: ddf must be"),
    ],
)
def test_bad_arguments(model: Any, call: Callable[[Any], Any], words: str) -> None:
    with pytest.raises(ArgumentError, match=words):
        call(model)


def test_kenward_roger_needs_reml(fit: Fit) -> None:
    m = fit(DAYS, "sleepstudy", REML=False)
    for call in (m.summary, m.tidy, m.df_fixed, m.conf_int):
        with pytest.raises(LmmError, match="needs a REML fit"):
            call(ddf="kenward-roger")
    assert len(m.tidy("ran_pars", ddf="kenward-roger")) == 4


def test_augment_refuses_rows_in_another_order(dataset):
    data = dataset("sleepstudy")
    m = lmer(DAYS, data)
    with pytest.raises(DataError, match=r"'Reaction' is .* in row 0 of the data, but was 249\.56 in the fit"):
        m.augment(data.iloc[::-1])
    doubled = lmer("log(Reaction) ~ Days + (1 | Subject)", data)
    assert len(doubled.augment(data)) == 180
    with pytest.raises(DataError, match="the rows in the same order"):
        doubled.augment(data.iloc[::-1])
    kept = data.assign(Reaction=data["Reaction"].where(data.index % 7 != 3))
    scaled = lmer("scale(Reaction) ~ Days + (1 | Subject)", kept)
    assert len(scaled.augment(kept)) == scaled.nobs
    with pytest.raises(DataError, match="the rows in the same order"):
        scaled.augment(kept.iloc[[1, 0, *range(2, 180)]])


def test_tidy_of_several_kinds(fit):
    m = fit("Reaction ~ Days + (Days|Subject)", "sleepstudy")
    both = m.tidy(["fixed", "ran_pars"])
    pd.testing.assert_frame_equal(both[:2], m.tidy(), check_dtype=False)
    pd.testing.assert_frame_equal(both[2:].reset_index(drop=True), m.tidy("ran_pars"), check_dtype=False)
    every = m.tidy(("ran_vals", "fixed"))
    assert list(every.columns) == list(m.tidy("ran_vals").columns)
    assert every["level"].isna().sum() == 2
    with pytest.raises(LmmError, match="effects must be one of"):
        m.tidy(["fixed", "random"])
    with pytest.raises(LmmError, match="effects must be one of"):
        m.tidy([])
    as_polars = lmer("Reaction ~ Days + (Days|Subject)", pl.from_pandas(load_dataset("sleepstudy")))
    assert as_polars.tidy(["fixed", "ran_vals"])["level"].null_count() == 2
