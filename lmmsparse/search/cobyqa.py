"""SciPy's derivative-free COBYQA within bounds: slower, and independent of every derivative."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import Bounds, minimize

from lmmsparse.errors import FactorizationError
from lmmsparse.search.newton import combined_hessian, trust_region_step
from lmmsparse.search.protocols import D, Evaluation, Optimum, P

Float = NDArray[np.float64]


def cobyqa(
    solve: Callable[[Float], P],
    differentiate: Callable[[P], D],
    start: Float,
    bounds: tuple[Float, Float],
    *,
    max_evaluations: int = 2000,
    watch: Callable[[Evaluation], None] | None = None,
) -> Optimum[P, D]:
    """Minimize within bounds; arguments as those of `lmmsparse.search.newton.newton`."""
    history: list[Evaluation] = []

    def value(theta: Float) -> float:
        try:
            result = solve(theta).value
        except FactorizationError:
            result = 1e300
        history.append(Evaluation(np.array(theta), result, True))
        if watch is not None:
            watch(history[-1])
        return result

    found = minimize(
        value,
        start,
        method="COBYQA",
        bounds=Bounds(*bounds),
        options={"maxfev": max_evaluations, "final_tr_radius": 1e-8, "scale": False},
    )
    point = solve(np.asarray(found.x))
    derivatives = differentiate(point)
    _, predicted = trust_region_step(combined_hessian(derivatives), derivatives.gradient, 1.0)
    return Optimum(point, derivatives, bool(found.success), predicted, tuple(history))
