"""The ML deviance as a function of one parameter that is held and of all others: value and gradient.

The fixed effects are profiled out, all but one that is held; so is σ, unless it is held or a standard deviation is.
Covariances are in the coordinates of `lmmsparse.covariance.held`, in which a standard deviation or correlation is one
of the coordinates and a variance of zero is an interior point.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import places
from lmmsparse.design.terms import RandomTerm
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.inference.parameters import standard_deviations, variance_parameters
from lmmsparse.objective.linear import Objective
from lmmsparse.objective.points import Derivatives
from lmmsparse.objective.points import Point as ObjectivePoint
from lmmsparse.objective.protocols import Criterion

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Parameter:
    """What is profiled.

    Attributes
    ----------
    name, lme4_name : str
    kind : {"sd", "cor", "sigma", "beta"}
    term, quantity : int
        Of a standard deviation or correlation: its term, and its place among the quantities of the structure.
    effects : tuple of int
        Positions in the term; that of a fixed effect.
    ends : (float, float)
        Range of a correlation.
    """

    name: str
    lme4_name: str
    kind: str
    term: int = -1
    quantity: int = -1
    effects: tuple[int, ...] = ()
    ends: tuple[float, float] = (-1.0, 1.0)

    def from_coordinate(self, c: Float) -> Float:
        """The parameter where the coordinate is ``c``."""
        if self.kind == "cor":
            low, high = self.ends
            return (low + high) / 2.0 + (high - low) / 2.0 * np.sin(c)
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
    out = []
    for one in known:
        effects = terms[one.term].structure.quantities[one.quantity].effects
        out.append(Parameter(one.name, one.code, one.kind, one.term, one.quantity, effects, one.ends))
    out.append(Parameter(sigma.name, sigma.code, sigma.kind))
    return (*out, *(Parameter(name, name, "beta", effects=(j,)) for j, name in enumerate(fixed_names)))


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
    quantities : (n_theta + 1,) array
        Standard deviations, correlations and σ; a correlation is NaN where a standard deviation is zero.
    beta : (p,) array
    """

    x: Float
    c: float
    value: float
    gradient: Float
    noise: float
    quantities: Float
    beta: Float

    def values(self, which: Sequence[Parameter]) -> Float:
        """Parameters at this point: all of them, as `parameters` has them."""
        assert len(which) == len(self.quantities) + len(self.beta)
        return np.concatenate([self.quantities, self.beta])


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
        Free coordinates at the estimates: those of the terms, then log σ where a standard deviation is held.
    c : float
        Estimate of the held coordinate.
    scale : (m + 1,) array
        Units of the coordinates, the held one last.
    positive : (m,) array of bool
        Coordinates that must not be negative.
    undefined : bool
        What is held has no value at the estimates.
    """

    def __init__(self, objective: Objective, estimates: Estimates, parameter: Parameter) -> None:
        self.objective, self.parameter, kind = objective, parameter, parameter.kind
        self.terms = []
        for t, block in enumerate(objective.blocks):
            theta, structure = estimates.theta[block.parameters], block.structure
            units = 1.0 / np.maximum(objective.design.coordinates.term_units(t), np.finfo(float).tiny)
            if t == parameter.term and kind in ("sd", "cor"):
                self.terms.append(structure.held(parameter.quantity, theta, units))
            else:
                self.terms.append(structure.coordinates(theta, units))
        self.parts = places([len(one.start) for one in self.terms])
        self.start = np.concatenate([one.start for one in self.terms])
        self.positive = np.concatenate([one.positive for one in self.terms])
        units, c_scale, self.undefined = np.concatenate([one.scale for one in self.terms]), 1.0, False
        self.c = float(np.log(estimates.sigma))
        if kind in ("sd", "cor"):
            held = self.terms[parameter.term]
            self.c, c_scale, self.undefined = held.c, held.c_scale, held.undefined
        if kind == "sd":
            self.c, c_scale = estimates.sigma * self.c, estimates.sigma * c_scale
            self.start, units = np.append(self.start, np.log(estimates.sigma)), np.append(units, 1.0)
            self.positive = np.append(self.positive, False)
        elif kind == "beta":
            j = parameter.effects[0]
            self.c, c_scale = float(estimates.beta[j]), float(estimates.std_error[j])
            self.held = _HeldEffect(objective, j)
        self.scale = np.append(units, c_scale)

    def lifted(self, x: Float) -> Float:
        """Coordinates with no variance at zero, where its derivative would say nothing."""
        lifted = [one.lifted(x[part]) for one, part in zip(self.terms, self.parts, strict=True)]
        return np.concatenate([*lifted, x[self.parts[-1].stop :]])

    def __call__(self, x: Float, c: float) -> Point:
        """Value and gradient.

        Raises
        ------
        FactorizationError
            The point is out of range.
        """
        kind, objective = self.parameter.kind, self.objective
        log_sigma, in_term = None, c
        if kind == "sigma":
            log_sigma = c
        elif kind == "sd":
            log_sigma = float(x[-1])
            in_term = c * float(np.exp(-log_sigma))
        theta = np.concatenate([one.theta(x[part], in_term) for one, part in zip(self.terms, self.parts, strict=True)])
        deviance: Criterion = self.held.deviance(c) if kind == "beta" else objective
        point = deviance.evaluate(objective.to_working(theta))
        derivatives = deviance.differentiate(point)
        value, sigma2 = point.value, point.sigma2
        if log_sigma is not None:
            sigma2 = float(np.exp(2.0 * log_sigma)) / objective.response.scale**2
            value += objective.degrees * (np.log(sigma2 / point.sigma2) - 1.0) + point.pwrss / sigma2
            derivatives = _at_sigma(objective, point, derivatives, sigma2)
        gradient, along = np.zeros(len(x) + 1), 0.0
        scores = objective.user_scores(derivatives)
        for t, (one, part) in enumerate(zip(self.terms, self.parts, strict=True)):
            gradient[part], slope = one.gradient(x[part], in_term, scores[t])
            along = slope if t == self.parameter.term else along
        at_log_sigma = 2.0 * (objective.degrees - point.pwrss / sigma2)
        if kind == "beta":
            gradient[-1] = self.held.slope(point, c)
        elif kind == "sigma":
            gradient[-1] = at_log_sigma
        elif kind == "sd":
            gradient[-2:] = at_log_sigma - along * in_term, along * np.exp(-x[-1])
        else:
            gradient[-1] = along
        sigma = float(np.sqrt(sigma2)) * objective.response.scale
        if kind == "beta":
            beta = self.held.all_effects(point.beta, c)
        else:
            beta = objective.response.beta(point.beta, objective.design.coordinates)
        quantities = standard_deviations(objective.terms, theta, sigma)[0]
        return Point(x, c, float(value), gradient, point.noise, quantities, beta)


def _at_sigma(objective: Objective, point: ObjectivePoint, derivatives: Derivatives, sigma2: float) -> Derivatives:
    """Scores of the deviance at another σ² than that of its minimum: the part of û in them is divided by it."""
    excess, scores = 1.0 / point.sigma2 - 1.0 / sigma2, []
    for t, (block, score) in enumerate(zip(objective.blocks, derivatives.scores, strict=True)):
        s = point.u[block.factor][:, block.columns] @ np.linalg.inv(objective.template(point, t))
        scores.append(score + excess * (s.T @ s))
    return replace(derivatives, scores=tuple(scores))


class _HeldEffect:
    """The criterion with one fixed effect held: its column goes to the other side of the equation.

    In the columns X̃ = XQ with Q orthogonal and its first column along ∂β_j/∂β_working, β_j depends on β̃₁ alone.
    """

    def __init__(self, objective: Objective, j: int) -> None:
        self.objective, products = objective, objective.products
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
        # the criterion without the column
        products = replace(products, rhs=tuple(b[:, :, 1:] for b in self.rhs), fixed=self.fixed[1:, 1:])
        self.c, self.base = np.nan, objective.with_products(products)
        self.current = self.base

    def coordinate(self, c: float) -> float:
        """β̃₁ where the held effect is c."""
        return (c - self.start) / self.unit

    def deviance(self, c: float) -> Criterion:
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
