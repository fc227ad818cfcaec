"""Standard deviations and correlations as parameters: their names, estimates and covariance matrix."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.design.terms import RandomTerm
from lmmsparse.inference.uncertainty import FLAT

Float = NDArray[np.float64]

# A correlation nearer to ±1 than this is on the boundary.
PERFECT = 1e-8
# A parameter with a larger share of its slope along directions without information is not identified.
UNKNOWN = 1e-6


@dataclass(frozen=True)
class VarianceParameter:
    """One standard deviation or correlation.

    Attributes
    ----------
    group : str
        Grouping factor; ``"Residual"`` for σ.
    row, column : str
        Effects that are correlated, the later one first; equal for a standard deviation, empty for σ.
    code : str
        lme4's name: ``.sig01``, …, ``.sigma``.
    """

    group: str
    row: str
    column: str
    code: str

    @property
    def is_sd(self) -> bool:
        """A standard deviation, not a correlation."""
        return self.row == self.column

    @property
    def name(self) -> str:
        """``sd_Days|Subject``, ``cor_Days.(Intercept)|Subject``, or ``sigma``."""
        if self.code == ".sigma":
            return "sigma"
        return f"sd_{self.row}|{self.group}" if self.is_sd else f"cor_{self.row}.{self.column}|{self.group}"

    @property
    def label(self) -> str:
        """Its name within its group: ``sd__Days``, ``cor__(Intercept).Days``, or ``sd__Observation``."""
        if self.code == ".sigma":
            return "sd__Observation"
        return f"sd__{self.row}" if self.is_sd else f"cor__{self.column}.{self.row}"


def variance_parameters(terms: Sequence[RandomTerm]) -> tuple[VarianceParameter, ...]:
    """The parameters of a model in the order of θ, a correlation where θ is below the diagonal; σ is the last."""
    out: list[VarianceParameter] = []
    for term in terms:
        for i, j in zip(*term.structure.entries, strict=True):
            out.append(VarianceParameter(term.group, term.names[i], term.names[j], f".sig{len(out) + 1:02d}"))
    return (*out, VarianceParameter("Residual", "", "", ".sigma"))


def standard_deviations(terms: Sequence[RandomTerm], theta: Float, sigma: float) -> tuple[Float, Float]:
    """Standard deviations and correlations, and their derivatives.

    Parameters
    ----------
    terms : sequence of RandomTerm
    theta : (n_theta,) array
        In the user's units.
    sigma : float

    Returns
    -------
    values : (n_theta + 1,) array
        In the order of `variance_parameters`.
    jacobian : (n_theta + 1, n_theta + 1) array
        With respect to θ and log σ; NaN where there is no derivative.
    """
    n_theta, start = len(theta), 0
    values, jacobian = np.empty(n_theta + 1), np.zeros((n_theta + 1, n_theta + 1))
    values[-1] = jacobian[-1, -1] = sigma
    for term in terms:
        structure = term.structure
        part = slice(start, start + structure.n_theta)
        values[part], jacobian[part, part] = _of_template(structure.template(theta[part]), *structure.entries)
        start = part.stop
        scaled = np.append(structure.entries[0] == structure.entries[1], False)
        rows = np.flatnonzero(scaled) + part.start
        values[rows] *= sigma
        jacobian[rows] *= sigma
        jacobian[rows, -1] = values[rows]
    return values, jacobian


def _of_template(template: Float, rows: NDArray[np.intp], columns: NDArray[np.intp]) -> tuple[Float, Float]:
    """Standard deviations and correlations of λλᵀ at the free entries of λ, and their derivatives with respect to them.

    With M = λλᵀ, the entry (a, b) of λ changes row a of M by column b of λ, and column a as well.
    """
    M, count = template @ template.T, len(rows)
    sd = np.sqrt(M.diagonal())
    slopes = np.zeros((count, *M.shape))
    for k, (a, b) in enumerate(zip(rows, columns, strict=True)):
        slopes[k, a] += template[:, b]
        slopes[k, :, a] += template[:, b]
    with np.errstate(invalid="ignore", divide="ignore"):
        relative = np.einsum("kii->ki", slopes) / (2.0 * M.diagonal())
        correlation = M / np.outer(sd, sd)
        values, jacobian = np.empty(count), np.empty((count, count))
        for m, (i, j) in enumerate(zip(rows, columns, strict=True)):
            if i == j:
                values[m], jacobian[m] = sd[i], sd[i] * relative[:, i]
            else:
                change = slopes[:, i, j] / (sd[i] * sd[j])
                values[m] = correlation[i, j]
                jacobian[m] = change - correlation[i, j] * (relative[:, i] + relative[:, j])
    return values, jacobian


def delta_covariance(
    values: Float, jacobian: Float, correlations: NDArray[np.bool_], hessian: Float, covariance: Float
) -> Float:
    """Covariance matrix of standard deviations and correlations by the delta method.

    Parameters
    ----------
    values : (m,) array
        Estimates.
    jacobian : (m, m) array
        Their derivatives with respect to the parameters of ``hessian`` and ``covariance``.
    correlations : (m,) array of bool
        Which of them are correlations.
    hessian, covariance : (m, m) arrays

    Returns
    -------
    (m, m) array
        NaN in the rows and columns of parameters on the boundary, where the delta method says nothing, and of those
        that the data do not tell.
    """
    eigenvalues, vectors = np.linalg.eigh(hessian)
    with np.errstate(invalid="ignore"):
        unknown = np.abs(jacobian @ vectors[:, eigenvalues <= FLAT * eigenvalues[-1]]).sum(axis=1)
        known = unknown <= UNKNOWN * np.abs(jacobian).sum(axis=1)
    edge = np.where(correlations, 1.0 - np.abs(values) < PERFECT, values <= 0.0)
    lost = edge | ~known | ~np.isfinite(jacobian).all(axis=1)
    slopes = np.where(lost[:, None], 0.0, jacobian)
    out = slopes @ covariance @ slopes.T
    out[lost] = out[:, lost] = np.nan
    return np.asarray(out)
