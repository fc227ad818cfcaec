"""The ML deviance as a function of one parameter that is held and of all others: value and gradient.

The fixed effects are profiled out, all but one that is held; so is σ, unless it is held or a standard deviation is.
The covariance of a term is σ²λλᵀ.  Rows of λ are put in another order where that makes the held parameter a coordinate:
with AAᵀ the reordered λλᵀ and A lower triangular,

    effect i first:            sd_i = σ A₁₁
    effects i and j first:     A₁₁ = a, (A₂₁, A₂₂) = b (sin φ, cos φ), and the correlation is sin φ.

A variance of zero is an interior point of these coordinates, as it is of the search for the optimum.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.structure import canonical_template
from lmmsparse.design.terms import RandomTerm
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.inference.parameters import variance_parameters
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Point as ObjectivePoint
from lmmsparse.objective.profiled import WorkingObjective

Float = NDArray[np.float64]

# In units of the residual standard deviation, for columns of unit mean square: the smallest scale of a coordinate,
SMALLEST_SCALE = 0.1
# and the standard deviation from which a search begins where one was zero: its derivative is zero there.
LIFTED = 0.02


@dataclass(frozen=True)
class Parameter:
    """What is profiled.

    Attributes
    ----------
    name, lme4_name : str
    kind : {"sd", "cor", "sigma", "beta"}
    term : int
        Of a standard deviation or correlation.
    effects : tuple of int
        Positions in the term: one for a standard deviation, two for a correlation; that of a fixed effect.
    """

    name: str
    lme4_name: str
    kind: str
    term: int = -1
    effects: tuple[int, ...] = ()

    def from_coordinate(self, c: Float) -> Float:
        """The parameter where the coordinate is ``c``."""
        if self.kind == "cor":
            return np.sin(c)
        return np.exp(c) if self.kind == "sigma" else c

    @property
    def limits(self) -> tuple[float, float]:
        """Range of the coordinate."""
        if self.kind == "cor":
            return -np.pi / 2.0, np.pi / 2.0
        return (0.0 if self.kind == "sd" else -np.inf), np.inf


def parameters(terms: Sequence[RandomTerm], fixed_names: Sequence[str]) -> tuple[Parameter, ...]:
    """All parameters in the order of lme4's ``confint``: θ as standard deviations and correlations, σ, β."""
    *known, sigma = variance_parameters(terms)
    places = [
        (t, i, j)
        for t, term in enumerate(terms)
        for i, j in zip(*(index.tolist() for index in term.structure.entries), strict=True)
    ]
    out = [
        Parameter(one.name, one.code, "sd" if i == j else "cor", t, (i,) if i == j else (j, i))
        for one, (t, i, j) in zip(known, places, strict=True)
    ]
    out.append(Parameter(sigma.name, sigma.code, "sigma"))
    return (*out, *(Parameter(name, name, "beta", -1, (j,)) for j, name in enumerate(fixed_names)))


@dataclass(frozen=True)
class Point:
    """The deviance at one point.

    Attributes
    ----------
    x : (m,) array
        Free coordinates.
    c : float
        Coordinate of the held parameter.
    value : float
    gradient : (m + 1,) array
        With respect to x and c.
    noise : float
        Rounding error to be expected in the value.
    covariances : tuple of (k, k) arrays
        σ²λλᵀ of every term.
    sigma : float
    beta : (p,) array
    """

    x: Float
    c: float
    value: float
    gradient: Float
    noise: float
    covariances: tuple[Float, ...]
    sigma: float
    beta: Float

    def values(self, which: Sequence[Parameter]) -> Float:
        """Parameters at this point; a correlation is NaN where a standard deviation is zero."""
        out = np.empty(len(which))
        for position, p in enumerate(which):
            if p.kind == "sigma":
                out[position] = self.sigma
            elif p.kind == "beta":
                out[position] = self.beta[p.effects[0]]
            else:
                S, i, j = self.covariances[p.term], p.effects[0], p.effects[-1]
                first, second = np.sqrt(S[i, i]), np.sqrt(S[j, j])
                if p.kind == "sd":
                    out[position] = first
                else:
                    out[position] = np.clip(S[i, j] / first / second, -1.0, 1.0) if first * second > 0 else np.nan
        return out


class RestrictedDeviance:
    """D(x, c): the ML deviance where the coordinate c of one parameter is held and the others are at x.

    Parameters
    ----------
    objective : Objective
        Of an ML fit.
    estimates : Estimates
    parameter : Parameter

    Attributes
    ----------
    start : (m,) array
        Free coordinates at the estimates.
    c : float
        Estimate of the held coordinate.
    scale : (m + 1,) array
        Units of the coordinates, the held one last.
    positive : (m,) array of bool
        Coordinates that must not be negative.
    """

    def __init__(self, objective: Objective, estimates: Estimates, parameter: Parameter) -> None:
        self.objective, self.parameter, self.working = objective, parameter, objective.working
        self.maps = objective.design.coordinates.term_maps
        kind, sigma, n_theta = parameter.kind, estimates.sigma, len(estimates.theta)
        self.orders = [self._order(t, structure.size) for t, structure in enumerate(self.working.structures)]
        z, scale, tiny = np.empty(n_theta), np.empty(n_theta), np.zeros(n_theta)
        for structure, part, L, lam, order in zip(
            self.working.structures, self.working.slices, self.maps, estimates.templates, self.orders, strict=True
        ):
            rows, columns = structure.entries
            unit = 1.0 / np.maximum(np.linalg.norm(L[:, order], axis=0), np.finfo(float).tiny)
            A = canonical_template(lam[order]) if structure.rotates else lam
            z[part] = structure.theta(A)
            scale[part] = np.maximum(np.linalg.norm(A, axis=1), SMALLEST_SCALE * unit)[rows]
            tiny[part] = np.where(rows == columns, LIFTED * unit[rows], 0.0)
        self.at = self._places()
        self.kept = np.setdiff1d(np.arange(n_theta), self.at)
        free, units, least = z[self.kept], scale[self.kept], tiny[self.kept]
        self.c, c_scale, bounded = float(np.log(sigma)), 1.0, 0
        if kind == "sd":
            self.c, c_scale = sigma * float(np.abs(z[self.at[0]])), sigma * float(scale[self.at[0]])
            free, units, least = np.append(free, np.log(sigma)), np.append(units, 1.0), np.append(least, 0.0)
        elif kind == "cor":
            corner, below, last = z[self.at]
            b, ends = float(np.hypot(below, last)), self.at[[0, 2]]
            self.c, bounded = (float(np.arctan2(below, last)) if b > 0 else 0.0), 2
            free = np.concatenate([free, [corner, b]])
            units, least = np.concatenate([units, scale[ends]]), np.concatenate([least, tiny[ends]])
        elif kind == "beta":
            j = parameter.effects[0]
            self.c, c_scale = float(estimates.beta[j]), float(np.sqrt(estimates.fixed_covariance[j, j]))
            self.held = _HeldEffect(objective, j)
        self.start, self.least, self.scale = free, least, np.append(units, c_scale)
        self.positive = np.arange(len(self.start)) >= len(self.start) - bounded

    def _order(self, t: int, size: int) -> NDArray[np.intp]:
        """Rows of the term's λ, those of the held parameter first; a diagonal λ needs no other order."""
        order = np.arange(size)
        if t != self.parameter.term or not self.working.structures[t].rotates:
            return order
        return np.concatenate([self.parameter.effects, np.setdiff1d(order, self.parameter.effects)]).astype(np.intp)

    def _places(self) -> NDArray[np.intp]:
        """Places in θ of the entries that the held parameter replaces."""
        if self.parameter.kind not in ("sd", "cor"):
            return np.zeros(0, dtype=np.intp)
        structure, part = self.working.structures[self.parameter.term], self.working.slices[self.parameter.term]
        if self.parameter.kind == "cor":
            return part.start + np.array([0, 1, structure.size])  # (1, 1), (2, 1) and (2, 2), column after column
        return part.start + np.array([0 if structure.rotates else self.parameter.effects[0]])

    def lifted(self, x: Float) -> Float:
        """Coordinates with no variance at zero, where its derivative would say nothing."""
        small = np.abs(x) < self.least
        return np.where(small, np.where(x < 0, -self.least, self.least), x) if small.any() else x

    def __call__(self, x: Float, c: float) -> Point:
        """Value and gradient.

        Raises
        ------
        FactorizationError
            The point is out of range.
        """
        kind, working, z = self.parameter.kind, self.working, np.empty(len(self.kept) + len(self.at))
        z[self.kept], log_sigma = x[: len(self.kept)], None
        if kind == "beta":
            working = self.held.working(c)
        elif kind == "sigma":
            log_sigma = c
        elif kind == "sd":
            log_sigma = float(x[-1])
            z[self.at] = c * np.exp(-log_sigma)
        else:
            z[self.at] = x[-2], x[-1] * np.sin(c), x[-1] * np.cos(c)
        point, value, sigma2, templates, slopes = self._evaluate(working, z, log_sigma)
        gradient = np.append(slopes[self.kept], np.zeros(len(x) - len(self.kept) + 1))
        at_log_sigma = 2.0 * (working.degrees - point.pwrss / sigma2)
        if kind == "beta":
            gradient[-1] = self.held.slope(point, c)
        elif kind == "sigma":
            gradient[-1] = at_log_sigma
        elif kind == "sd":
            along = float(slopes[self.at[0]])
            gradient[-2:] = at_log_sigma - along * z[self.at[0]], along * np.exp(-x[-1])
        else:
            corner, below, last = slopes[self.at]
            gradient[-3:-1] = corner, np.sin(c) * below + np.cos(c) * last
            gradient[-1] = x[-1] * (np.cos(c) * below - np.sin(c) * last)
        sigma = float(np.sqrt(sigma2)) * self.objective.response.scale
        beta = (
            self.held.all_effects(point.beta, c)
            if kind == "beta"
            else self.objective.response.beta(point.beta, self.objective.design.coordinates)
        )
        covariances = tuple(sigma**2 * lam @ lam.T for lam in templates)
        return Point(x, c, value, gradient, point.noise, covariances, sigma, beta)

    def _evaluate(
        self, working: WorkingObjective, z: Float, log_sigma: float | None
    ) -> tuple[ObjectivePoint, float, float, list[Float], Float]:
        """Point, deviance, σ² in working units, templates in the user's, and the derivatives with respect to z."""
        theta, factors, templates = np.empty(len(z)), [], []
        for structure, part, L, order in zip(working.structures, working.slices, self.maps, self.orders, strict=True):
            A = structure.template(z[part])
            factors.append(A)
            templates.append(A[np.argsort(order)])
            mapped = L @ templates[-1]
            if structure.rotates and (order[0] != 0 or len(order) > 2):
                mapped = canonical_template(mapped)
            theta[part] = structure.theta(mapped)
        point = working.solve_nearby(theta)
        scores = working.differentiate(point).scores
        value, sigma2, n = point.value, point.sigma2, working.degrees
        if log_sigma is not None:
            sigma2 = float(np.exp(2.0 * log_sigma)) / self.objective.response.scale**2
            value += n * (np.log(sigma2 / point.sigma2) - 1.0) + point.pwrss / sigma2
        slopes, excess = np.empty(len(z)), 1.0 / point.sigma2 - 1.0 / sigma2
        for t, (structure, part, L, order) in enumerate(
            zip(working.structures, working.slices, self.maps, self.orders, strict=True)
        ):
            g, where = working.columns[t]
            T = scores[t]
            if log_sigma is not None:
                s = point.u[g][:, where] @ np.linalg.inv(point.templates[g][where, where])
                T = T + excess * (s.T @ s)
            T = (L.T @ T @ L)[np.ix_(order, order)]
            slopes[part] = structure.theta(2.0 * T @ factors[t])
        return point, float(value), sigma2, templates, slopes


class _HeldEffect:
    """The criterion with one fixed effect held: its column goes to the other side of the equation.

    In the columns X̃ = XQ with Q orthogonal and its first column along ∂β_j/∂β_working, β_j depends on β̃₁ alone.
    """

    def __init__(self, objective: Objective, j: int) -> None:
        self.objective, products = objective, objective.working.products
        p, inverse_map = products.p, objective.design.coordinates.fixed_inverse
        self.Q = np.linalg.qr(inverse_map[j][:, None], mode="complete")[0]
        self.start, self.unit = (
            objective.response.start[j],
            objective.response.scale * float(inverse_map[j] @ self.Q[:, 0]),
        )
        turn = np.eye(p + 1)
        turn[:p, :p] = self.Q
        self.rhs = [part @ turn for part in products.rhs]
        self.fixed = turn.T @ products.fixed @ turn
        self.c, self.base = np.nan, self._base(objective.working)
        self.current = self.base

    def _base(self, working: WorkingObjective) -> WorkingObjective:
        """The criterion without the column."""
        products = replace(working.products, rhs=tuple(b[:, :, 1:] for b in self.rhs), fixed=self.fixed[1:, 1:])
        members = working.members
        return WorkingObjective.of(working.engine, products, working.structures, members, reml=False)

    def coordinate(self, c: float) -> float:
        """β̃₁ where the held effect is c."""
        return (c - self.start) / self.unit

    def working(self, c: float) -> WorkingObjective:
        """The criterion where the held effect is c."""
        if c != self.c:
            along, rhs, fixed = self.coordinate(c), [], self.fixed[1:, 1:].copy()
            for part in self.rhs:
                rest = part[:, :, 1:].copy()
                rest[:, :, -1] -= along * part[:, :, 0]
                rhs.append(rest)
            fixed[:, -1] -= along * self.fixed[1:, 0]
            fixed[-1] = fixed[:, -1]
            fixed[-1, -1] = self.fixed[-1, -1] - 2.0 * along * self.fixed[0, -1] + along**2 * self.fixed[0, 0]
            products = replace(self.base.products, rhs=tuple(rhs), fixed=fixed)
            self.c, self.current = c, self.base.with_products(products, reml=False)
        return self.current

    def slope(self, point: ObjectivePoint, c: float) -> float:
        """∂D/∂c = −2 x̃₁ᵀWe ∂β̃₁/∂c / σ̂²."""
        product = self.fixed[0, -1] - self.fixed[0, 0] * self.coordinate(c) - self.fixed[0, 1:-1] @ point.beta
        for part, u, lam in zip(self.rhs, point.u, point.templates, strict=True):
            product -= float((part[:, :, 0] * (u @ lam.T)).sum())
        return float(-2.0 * product / (self.unit * point.sigma2))

    def all_effects(self, rest: Float, c: float) -> Float:
        """β in the user's units."""
        working = self.Q @ np.append(self.coordinate(c), rest)
        return self.objective.response.beta(working, self.objective.design.coordinates)
