"""The profiled deviance d(θ) or REML criterion d_R(θ) in working coordinates: value, gradient, Hessian."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.charts import Chart, chart_around
from lmmsparse.covariance.structure import Covariance
from lmmsparse.crossproducts.blocks import CrossProducts
from lmmsparse.objective.blocks import Block, entries_of, lifted, templates_of
from lmmsparse.objective.points import Derivatives, Point
from lmmsparse.pls.engine import Engine, Loaded
from lmmsparse.pls.plan import Plan
from lmmsparse.pls.rounding import rounding_of
from lmmsparse.pls.solution import Request

Float = NDArray[np.float64]

# Derivatives need λ⁻¹: a singular value of a working template below this is raised to it there.
SMALLEST_SPREAD = 1e-5


class WorkingObjective:
    """d(θ) in working coordinates, from an engine loaded with cross-products.

    Parameters
    ----------
    loaded : Loaded
    blocks : sequence of Block
        One a term.
    """

    def __init__(self, loaded: Loaded, blocks: Sequence[Block]) -> None:
        self.loaded, self.products, self.reml = loaded, loaded.products, loaded.request.reml
        self.blocks = tuple(blocks)

    @classmethod
    def of(cls, engine: Engine, products: CrossProducts, blocks: Sequence[Block], reml: bool) -> WorkingObjective:
        """Load an engine with cross-products and with what the terms ask of it."""
        return cls(engine.load(products, Request(reml, entries_of(blocks))), blocks)

    @property
    def engine(self) -> Engine:
        """What solves the penalized least-squares problem."""
        return self.loaded.engine

    @property
    def plan(self) -> Plan:
        """Order of elimination and predicted cost."""
        return self.engine.plan

    @property
    def degrees(self) -> int:
        """n for ML, n − p for REML."""
        return self.loaded.request.degrees(self.products)

    @cached_property
    def structures(self) -> tuple[Covariance, ...]:
        """Of every term."""
        return tuple(block.structure for block in self.blocks)

    def start(self) -> Float:
        """λ = I for every term."""
        return np.concatenate([structure.start() for structure in self.structures])

    def templates(self, theta: Float) -> list[Float]:
        """λ of every grouping factor, block diagonal over its terms: (…, K_g, K_g) of θ (…, n_theta)."""
        return templates_of(self.blocks, self.products.pattern.shapes, theta)

    def exact(self, theta: Float) -> Point:
        """Factor M(θ), profile β, u and σ² out, and evaluate the criterion."""
        return self._point(theta, self.templates(theta), exact=True)

    def _point(self, theta: Float, templates: list[Float], exact: bool) -> Point:
        solution = self.loaded.solve(templates)
        value = float(self.criterion(solution.logdet, solution.logdet_fixed, solution.pwrss))
        return Point(
            theta=np.array(theta, dtype=float),
            value=value,
            pwrss=solution.pwrss,
            sigma2=solution.sigma2,
            rounding=rounding_of(solution.losses, value, self.degrees, self.reml, self.engine.squares, False),
            exact=exact,
            solution=solution,
        )

    def criterion(self, logdet: Any, logdet_fixed: Any, pwrss: Any) -> Any:
        """d(θ) from log|M|, log|XᵀV⁻¹X| and r², numbers or arrays of them."""
        value = logdet - self.products.log_det
        value = value + self.degrees * (1.0 + np.log(2.0 * np.pi * pwrss / self.degrees))
        return value + logdet_fixed if self.reml else value

    def with_products(self, products: CrossProducts, reml: bool) -> WorkingObjective:
        """The same design with another response or the other criterion."""
        return WorkingObjective(self.loaded.with_right(products, replace(self.loaded.request, reml=reml)), self.blocks)

    def evaluate(self, theta: Float) -> Point:
        """`exact` where no direction of a term has a standard deviation below `SMALLEST_SPREAD`.

        The point keeps θ; its numbers are those of the nearby templates, and its value is off by less than rounding
        unless the score of a vanishing variance is huge.
        """
        return self._point(theta, *lifted(self.blocks, self.templates(theta), SMALLEST_SPREAD))

    def differentiate(self, point: Point) -> Derivatives:
        """Gradient and Hessian of the criterion at a point of `evaluate`.

        ∂d/∂λ_t = 2 T_t λ_t with the score T_t = ½ λ_t⁻ᵀ N_t λ_t⁻¹ of the covariance λλᵀ and
        N_t = 2 Σ_ℓ [I − C_ℓℓ − û_ℓ û_ℓᵀ/σ̂²].  T_t is continuous in λ_t, so that it may be taken at the nearby template
        where λ_t itself is singular.
        """
        scores, sums = [], point.solution.sums()
        for block in self.blocks:
            g, where = block.factor, block.columns
            inverse_template = np.linalg.inv(point.templates[g][where, where])
            inside = len(point.u[g]) * np.eye(block.structure.size) - sums[g][where, where]
            score = inverse_template.T @ inside @ inverse_template
            scores.append((score + score.T) / 2)
        return Derivatives(self.structures, point.theta, tuple(scores), point.solution.information())

    def chart(self, point: Point, derivatives: Derivatives) -> Chart:
        """Local coordinates around a point, for the search."""
        return chart_around(self.structures, point.theta, derivatives.scores, derivatives.covariance_information)
