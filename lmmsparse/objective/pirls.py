"""Penalized iteratively reweighted least squares: the conditional modes of a generalized model at one θ and β.

û minimizes F(u) = D(η) + ‖u‖², η = Xβ + offset + ZΛu, by Newton's method: M_h = ΛᵀZᵀHZΛ + I with the observed weights h
of the rows, and Fisher's where those leave M_h indefinite.  Only cross-products of Z are summed again at a step, on the
pattern and the plan of the model.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.responses import response_products
from lmmsparse.crossproducts.sums import cross_products, row_order
from lmmsparse.design.coordinates import WorkingDesign
from lmmsparse.errors import FactorizationError
from lmmsparse.family import Family, Rows
from lmmsparse.pls.factor import Factor
from lmmsparse.pls.plan import plan_of
from lmmsparse.pls.values import lay_out

Float = NDArray[np.float64]

# A step ends the iterations when the decrement before it was below this share of F: what is left is its square.
SETTLED = 1e-11
# Below this share of F a step is taken whole: there F is rounding, and a test of it would stall.
ROUNDING = 1e-9
# Steps, and halvings of one.
MOST_STEPS, MOST_HALVINGS = 100, 40


@dataclass(frozen=True)
class Place:
    """F at one u.

    Attributes
    ----------
    u : tuple of (q_g, K_g) arrays
        On the spherical scale.
    eta : (n,) array
        Linear predictor.
    rows : Rows
    penalized : float
        F = D + ‖u‖²; infinite where a row has no mean.
    """

    u: tuple[Float, ...]
    eta: Float
    rows: Rows
    penalized: float


@dataclass(frozen=True)
class Modes:
    """Conditional modes at one θ and β.

    Attributes
    ----------
    place : Place
    factor : Factor
        Of M there.
    observed : bool
        Whether its weights are the observed ones, and not Fisher's.
    decrement : float
        sᵀM⁻¹s of the last step, s the score: how far F was from its minimum before it.
    factorizations : int
    """

    place: Place
    factor: Factor
    observed: bool
    decrement: float
    factorizations: int


class Conditional:
    """F(u) of a design, a family and a response, for any θ and β.

    Parameters
    ----------
    design : WorkingDesign
    family : Family
    y, weights : (n,) arrays
        Response and prior weights.
    groups : tuple of str
        Names of the grouping factors, for messages.
    memory_limit : float
        Bytes that one evaluation may take.
    """

    def __init__(
        self,
        design: WorkingDesign,
        family: Family,
        y: Float,
        weights: Float,
        groups: tuple[str, ...],
        memory_limit: float = np.inf,
    ) -> None:
        self.random = replace(design, X=np.zeros((len(y), 0)))
        self.family, self.y, self.weights = family, y, weights
        self.order = row_order(self.random)
        self.plan = plan_of(self.order.pattern, 0, groups, memory_limit)

    def effects(self, templates: Sequence[Float], u: Sequence[Float]) -> Float:
        """ZΛu, (n,)."""
        out = np.zeros(len(self.y))
        for block, lam, own in zip(self.random.blocks, templates, u, strict=True):
            out += np.einsum("ik,ik->i", block.columns, (own @ lam.T)[block.codes])
        return out

    def score(self, templates: Sequence[Float], g: Float, u: Sequence[Float]) -> list[Float]:
        """ΛᵀZᵀg − u, a (q_g, K_g) array a factor."""
        products = response_products(self.random, g[:, None], None)[0]
        return [part[:, :, 0] @ lam - own for part, lam, own in zip(products, templates, u, strict=True)]

    def factorization(self, templates: Sequence[Float], weights: Float) -> Factor:
        """The factor of ΛᵀZᵀVZΛ + I.

        Raises
        ------
        FactorizationError
            It is not positive definite.
        """
        with np.errstate(divide="ignore", invalid="ignore"):  # its log|V| is not asked for
            products = cross_products(self.random, np.zeros(len(self.y)), weights, self.order)
        return Factor(self.plan, lay_out(self.plan, products), list(templates))

    def modes(self, templates: Sequence[Float], fixed: Float, u: Sequence[Float] | None = None) -> Modes:
        """Conditional modes.

        Parameters
        ----------
        templates : sequence of (K_g, K_g) arrays
            λ of every grouping factor.
        fixed : (n,) array
            Xβ + offset.
        u : sequence of (q_g, K_g) arrays, optional
            Where to begin; at zero without it, or where it is out of range.

        Raises
        ------
        FactorizationError
            There is no mean at the start, or no step leads on.
        """
        here = self._first(templates, fixed, u)
        factor, observed, count = self._newton(templates, here.rows)
        for _ in range(MOST_STEPS):
            score = self.score(templates, here.rows.score, here.u)
            half = factor.forward([part[:, :, None] for part in score])
            decrement = float(sum((part**2).sum() for part in half))
            ended = decrement <= SETTLED * max(1.0, abs(here.penalized))
            here = self._descended(templates, fixed, here, factor.backward(half), decrement)
            factor, observed, made = self._newton(templates, here.rows)
            count += made
            if ended:
                return Modes(here, factor, observed, decrement, count)
        raise FactorizationError(f"the conditional modes were not found in {MOST_STEPS} steps")

    def _first(self, templates: Sequence[Float], fixed: Float, u: Sequence[Float] | None) -> Place:
        zeros = tuple(np.zeros((block.n_levels, block.columns.shape[1])) for block in self.random.blocks)
        for start in (zeros,) if u is None else (tuple(u), zeros):
            here = self._at(templates, fixed, start)
            if np.isfinite(here.penalized):
                return here
        row = int(np.argmax(~np.isfinite(here.rows.deviance)))
        raise FactorizationError(f"the linear predictor of row {row} leads to no mean that the family can have")

    def _at(self, templates: Sequence[Float], fixed: Float, u: tuple[Float, ...]) -> Place:
        eta = fixed + self.effects(templates, u)
        rows = self.family.rows(self.y, self.weights, eta)
        return Place(u, eta, rows, float(rows.deviance.sum()) + float(sum((part**2).sum() for part in u)))

    def _newton(self, templates: Sequence[Float], rows: Rows) -> tuple[Factor, bool, int]:
        """The factor with observed weights, or with Fisher's where it is indefinite; and how many were tried."""
        try:
            return self.factorization(templates, rows.observed[0]), True, 1
        except FactorizationError:
            if rows.observed[0].min(initial=0.0) >= 0.0:
                raise
            return self.factorization(templates, rows.expected[0]), False, 2

    def _descended(
        self, templates: Sequence[Float], fixed: Float, here: Place, step: Sequence[Float], decrement: float
    ) -> Place:
        """A step, halved until F does not grow."""
        scale = 1.0
        for _ in range(MOST_HALVINGS):
            u = tuple(own + scale * part[:, :, 0] for own, part in zip(here.u, step, strict=True))
            there = self._at(templates, fixed, u)
            rounded = decrement < ROUNDING * abs(here.penalized) and np.isfinite(there.penalized)
            if rounded or there.penalized <= here.penalized:
                return there
            scale /= 2.0
        raise FactorizationError("no step towards the conditional modes leads on")
