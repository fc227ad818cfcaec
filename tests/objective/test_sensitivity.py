"""Second derivatives with σ free, and slopes of XᵀV⁻¹X, against V written out."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.objective.sensitivity import covariance_jacobian, sensitivity, step_units
from tests.designs import ENGINES, Engines, Float, cases_with_theta, generated, working_oracle
from tests.oracle import KEYWORDS, Oracle, covariance_slopes, parts


def hessian_with_sigma(oracle: Oracle, h: float = 1e-4) -> Float:
    """Of log|V| + m log σ² + r²/σ² (+ log|XᵀV⁻¹X|) at σ̂, with respect to θ and log σ."""
    s2, m = oracle.sigma2, oracle.degrees

    def gradient(x: Float) -> Float:
        at, sigma2 = replace(oracle, theta=x[:-1]), s2 * np.exp(2 * x[-1])
        Q, Py = at.P if at.reml else at.V_inverse, at.P @ at.y
        slopes = [np.sum(Q * slope) - Py @ slope @ Py / sigma2 for slope in at.slopes]
        return np.array([*slopes, 2 * m - 2 * at.r2 / sigma2])

    centre = np.append(oracle.theta, 0.0)
    H = np.array([(gradient(centre + e) - gradient(centre - e)) / (2 * h) for e in h * np.eye(len(centre))])
    return (H + H.T) / 2


@pytest.mark.parametrize("kind", KEYWORDS)
@pytest.mark.parametrize("engine", ENGINES)
@settings(generated, max_examples=6)
@given(st.data())
def test_second_derivatives(engine: Engines, kind: str, data: st.DataObject) -> None:
    case, theta = data.draw(cases_with_theta(kinds=(kind,)))
    with engine():
        working, oracle = working_oracle(case, theta)
        found = sensitivity(working, working.exact(theta))
    expected = hessian_with_sigma(oracle)
    assert_allclose(found.hessian, expected, rtol=1e-5, atol=1e-6 * np.abs(expected).max())
    assert_array_equal(found.hessian, found.hessian.T)
    # a correlation may be near an end
    deviations = np.append(np.isinf(case.objective().bounds()[1]), True)
    assert (found.units[deviations] >= 1.0).all() and (found.units > 0.0).all()
    left = oracle.V_inverse @ oracle.X
    slopes = [left.T @ slope @ left for slope in oracle.slopes]
    assert_allclose(found.information_slopes, slopes, rtol=1e-7, atol=1e-8 * max(1.0, np.abs(slopes).max(initial=0.0)))


@generated
@given(cases_with_theta())
def test_jacobian_and_units_of_all_terms(drawn: tuple) -> None:
    case, theta = drawn
    blocks = case.objective().blocks
    J, units = covariance_jacobian(blocks, theta), step_units(blocks, theta)
    expected = np.zeros_like(J)
    for block, (_, keyword, k, own) in zip(blocks, parts(case.terms, theta), strict=True):
        slopes = [slope[block.structure.support] for slope in covariance_slopes(keyword, k, own)]
        expected[block.support, block.parameters] = np.column_stack(slopes)
    assert_allclose(J, expected, atol=1e-13)
    assert units.shape == theta.shape
