"""Standard deviations and correlations as parameters: names, which of them are meant, estimates, covariance matrix."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.arguments import as_list, as_text, unknown_name
from lmmsparse.covariance.charts import places
from lmmsparse.design.terms import RandomTerm
from lmmsparse.inference.uncertainty import FLAT

Float = NDArray[np.float64]

# A correlation nearer to an end of its range than this is on the boundary.
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
    kind : {"sd", "cor", "sigma"}
    effects : tuple of str
        Effect, or two effects that are correlated, the later one first; none for σ and for what all effects of a term
        have in common.
    code : str
        lme4's name: ``.sig01``, …, ``.sigma``.
    term, quantity : int
        Term, and place among the quantities of its structure; -1 for σ.
    ends : (float, float)
        Range.
    """

    group: str
    kind: str
    effects: tuple[str, ...]
    code: str
    term: int
    quantity: int
    ends: tuple[float, float]

    @property
    def name(self) -> str:
        """``sd_Days|Subject``, ``cor_Days.(Intercept)|Subject``, ``cor|Subject`` for a common one, or ``sigma``."""
        if self.kind == "sigma":
            return "sigma"
        return "_".join([self.kind, *([".".join(self.effects)] if self.effects else [])]) + f"|{self.group}"

    @property
    def label(self) -> str:
        """Its name within its group: ``sd__Days``, ``cor__(Intercept).Days``, ``cor__common``, ``sd__Observation``."""
        if self.kind == "sigma":
            return "sd__Observation"
        return f"{self.kind}__{'.'.join(self.effects[::-1]) or 'common'}"

    def is_at_end(self, value: float) -> bool:
        """Whether a value is at the boundary, where the delta method says nothing."""
        low, high = self.ends
        if self.kind == "cor":
            return value - low < PERFECT or high - value < PERFECT
        return value <= low


def variance_parameters(terms: Sequence[RandomTerm]) -> tuple[VarianceParameter, ...]:
    """The parameters of a model in the order of θ, the quantities of the structure of every term; σ is the last."""
    out: list[VarianceParameter] = []
    for t, term in enumerate(terms):
        for q, quantity in enumerate(term.structure.quantities):
            effects = () if quantity.common else tuple(term.names[i] for i in quantity.effects)
            ends = (0.0, np.inf) if quantity.kind == "sd" else term.structure.ends
            out.append(VarianceParameter(term.group, quantity.kind, effects, f".sig{len(out) + 1:02d}", t, q, ends))
    return (*out, VarianceParameter("Residual", "sigma", (), ".sigma", -1, -1, (0.0, np.inf)))


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
    n_theta = len(theta)
    values, jacobian = np.empty(n_theta + 1), np.zeros((n_theta + 1, n_theta + 1))
    values[-1] = jacobian[-1, -1] = sigma
    for term, part in zip(terms, places([term.structure.n_theta for term in terms]), strict=True):
        values[part], jacobian[part, part] = term.structure.quantity_values(theta[part])
        rows = part.start + np.flatnonzero([one.kind == "sd" for one in term.structure.quantities])
        values[rows] *= sigma
        jacobian[rows] *= sigma
        jacobian[rows, -1] = values[rows]
    return values, jacobian


def stacked_deviations(terms: Sequence[RandomTerm], theta: Float, sigma: Float) -> Float:
    """Standard deviations and correlations in the order of θ for many estimates, (m, n_theta).

    A correlation with an effect of standard deviation zero is NaN.

    Parameters
    ----------
    terms : sequence of RandomTerm
    theta : (m, n_theta) array
    sigma : (m,) array
    """
    out = np.empty_like(theta)
    for term, part in zip(terms, places([term.structure.n_theta for term in terms]), strict=True):
        values = term.structure.quantity_values(theta[:, part])[0]
        is_sd = np.array([one.kind == "sd" for one in term.structure.quantities])
        out[:, part] = np.where(is_sd, values * sigma[:, None], np.clip(values, -1.0, 1.0))
    return out


def delta_covariance(jacobian: Float, at_end: NDArray[np.bool_], hessian: Float, covariance: Float) -> Float:
    """Covariance matrix of standard deviations and correlations by the delta method.

    Parameters
    ----------
    jacobian : (m, m) array
        Derivatives of the estimates with respect to the parameters of ``hessian`` and ``covariance``.
    at_end : (m,) array of bool
        Which of them are at the boundary.
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
    lost = at_end | ~known | ~np.isfinite(jacobian).all(axis=1)
    slopes = np.where(lost[:, None], 0.0, jacobian)
    out = slopes @ covariance @ slopes.T
    out[lost] = out[:, lost] = np.nan
    return np.asarray(out)


def selected_parameters(
    where: str, parm: Any, codes: Sequence[str], names: Sequence[str], parts: Mapping[str, Sequence[int]]
) -> list[int]:
    """Positions of the parameters that are asked for, each once, in the order in which they were named.

    Parameters
    ----------
    where : str
        The method that was called.
    parm : None, str or sequence of str
        Names of either kind, or of parts; None stands for everything.
    codes, names : sequences of str
        lme4's name of every parameter, and its readable one.
    parts : mapping of str to sequences of int
        Positions of all variance parameters, ``"theta_"``, and of all fixed effects, ``"beta_"``.

    Raises
    ------
    ArgumentError
        There is no such parameter.
    """
    if parm is None:
        return list(range(len(codes)))
    pairs = list(zip(codes, names, strict=True))
    chosen: dict[int, None] = {}
    for given in as_list(parm):
        name = as_text(given)
        if name is not None and name in parts:
            found = list(parts[name])
        else:
            found = [position for position, pair in enumerate(pairs) if name in pair]
            if not found:
                shown = [code if code == readable else f"{code} ({readable})" for code, readable in pairs]
                raise unknown_name(where, "parameter", given, [*names, *codes], shown)
        chosen |= dict.fromkeys(found)
    return list(chosen)
