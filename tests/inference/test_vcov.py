"""Covariance matrices of all estimates, against a dense likelihood."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pandas as pd

from lmmsparse import lmer
from tests.reported import DAYS

Dataset = Callable[[str], pd.DataFrame]


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
