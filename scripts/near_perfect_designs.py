"""Nearly perfect fits: whether every number that is reported is right to a millionth, or the fit says that it is not.

    python -m scripts.near_perfect_designs [--designs 2000] [--first 0]

Noise from 1e-2 to 1e-9 of the spread of nested, crossed and correlated random effects.  The criterion, σ̂, β̂, standard
errors and random effects are computed once more at the reported θ̂ with 60 digits (mpmath, of the extra `test`), and the
criterion a little beside it, where it must not be lower.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import mpmath as mp  # type: ignore[import-untyped]
import numpy as np
from numpy.typing import NDArray

from lmmsparse import lmer
from lmmsparse.errors import ConvergenceWarning, PerfectFitWarning, RoundingWarning
from scripts.tried import outcomes

Float = NDArray[np.float64]

TOLERANCE = 1e-6
FORMULAS = (
    "y ~ x + (1 | g)",
    "y ~ x + (1 | g) + (1 | h)",
    "y ~ x + (1 | g / h)",
    "y ~ x + (x | g)",
    "y ~ x + (0 + x | g)",
    "y ~ x + (x || g) + (1 | h)",
    "y ~ 1 + (x | g) + (1 | h)",
    "y ~ x * f + (1 | g)",
)


def near_perfect_design(number: int) -> tuple[str, dict[str, Any], bool, float]:
    """Formula, data, REML or not, and noise of the design of this number."""
    rng = np.random.default_rng([20_261_127, 1, number])
    q, r = int(rng.integers(4, 9)), int(rng.integers(3, 6))
    n, noise = q * r, 10.0 ** rng.uniform(-9.0, -2.0)
    g, h = np.repeat(np.arange(q), r), np.tile(np.arange(r), q)
    keep = np.sort(rng.permutation(n)[: n - int(rng.integers(0, 3))])
    x, formula = rng.normal(size=n), FORMULAS[int(rng.integers(len(FORMULAS)))]
    y = 1.0 + 2.0 * x + rng.normal(size=q)[g]
    if "h" in formula:
        y = y + (rng.normal(size=n) if "/" in formula else rng.normal(size=r)[h])
    if "(x |" in formula or "0 + x" in formula or "||" in formula:
        y = y + rng.normal(size=q)[g] * x
    y = y + noise * rng.normal(size=n)
    data = {"y": y[keep], "x": x[keep], "g": g[keep], "h": h[keep], "f": np.array(["a", "b"])[(h % 2)[keep]]}
    if "/" in formula:
        data = {name: np.concatenate([values, values]) for name, values in data.items()}
        data["y"] = data["y"] + noise * rng.normal(size=len(data["y"]))
    return formula, data, bool(rng.random() < 0.5), noise


@dataclass(frozen=True)
class Exact:
    """What a fit reports, at one θ, with all digits."""

    criterion: Any
    sigma: Any
    beta: list[Any]
    std_error: list[Any]
    b: list[Any]


def exact_at(m: Any, theta: Float, reml: bool) -> Exact:
    """The criterion and what follows, from V = I + ZΛΛᵀZᵀ with 60 digits."""
    m.getme("theta")
    Lambda = _lambda(m, theta)
    X, y, Z = m.getme("X"), m.getme("y"), np.asarray(m.getme("Z").todense())
    n, p = X.shape
    ZL = mp.matrix(Z.tolist()) * mp.matrix(Lambda.tolist())
    V = mp.eye(n) + ZL * ZL.T
    L = mp.cholesky(V)
    right = mp.matrix(np.column_stack([X, y]).tolist())
    half = mp.matrix(n, p + 1)
    for j in range(p + 1):
        for i in range(n):
            half[i, j] = (right[i, j] - mp.fsum(L[i, k] * half[k, j] for k in range(i))) / L[i, i]
    HX, hy = half[:, :p], half[:, p]
    A = HX.T * HX
    A_inverse = A**-1
    beta = A_inverse * (HX.T * hy)
    e = hy - HX * beta
    square = mp.fsum(value**2 for value in e)
    degrees = n - p if reml else n
    value = 2 * mp.fsum(mp.log(L[i, i]) for i in range(n))
    value += degrees * (1 + mp.log(2 * mp.pi * square / degrees))
    if reml:
        value += mp.log(mp.det(A))
    sigma = mp.sqrt(square / degrees)
    solved = mp.matrix(n, 1)
    for i in reversed(range(n)):
        solved[i] = (e[i] - mp.fsum(L[k, i] * solved[k] for k in range(i + 1, n))) / L[i, i]
    b = mp.matrix(Lambda.tolist()) * (ZL.T * solved)
    errors = [sigma * mp.sqrt(A_inverse[j, j]) for j in range(p)]
    return Exact(value, sigma, list(beta), errors, list(b))


def _lambda(m: Any, theta: Float) -> Float:
    blocks = []
    for term, where in zip(m.objective.terms, _places(m), strict=True):
        lam = term.structure.template(theta[where])
        blocks.append(np.kron(np.eye(term.n_levels), lam))
    size = sum(len(block) for block in blocks)
    out, start = np.zeros((size, size)), 0
    for block in blocks:
        out[start : start + len(block), start : start + len(block)] = block
        start += len(block)
    return out


def _places(m: Any) -> list[slice]:
    return [block.parameters for block in m.objective.blocks]


def shortfalls(number: int) -> tuple[int, list[str], bool, float]:
    """What of a fit is off by more than a millionth, whether it warned, and its noise."""
    mp.mp.dps = 60
    formula, data, reml, noise = near_perfect_design(number)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        m = lmer(formula, data, REML=reml)
    said = any(issubclass(w.category, (RoundingWarning, ConvergenceWarning, PerfectFitWarning)) for w in caught)
    right, found = exact_at(m, np.asarray(m.theta), reml), []

    def compare(name: str, got: Any, want: Any, unit: Any) -> None:
        off = float(abs(mp.mpf(float(got)) - want) / unit)
        if not off <= TOLERANCE:
            found.append(f"{name} by {off:.1e}")

    compare("criterion", m.criterion, right.criterion, 1)
    compare("sigma", m.sigma, right.sigma, right.sigma)
    for j, name in enumerate(m.fixef.index):
        compare(f"beta {name}", m.fixef.iloc[j], right.beta[j], right.std_error[j])
        compare(f"se {name}", m.bse.iloc[j], right.std_error[j], right.std_error[j])
    b, largest = m.getme("b"), max(abs(value) for value in right.b)
    worst = max(range(len(right.b)), key=lambda i: abs(mp.mpf(float(b[i])) - right.b[i]))
    compare("b", b[worst], right.b[worst], largest if largest > 0 else 1)
    if not m.is_singular():
        for i in range(len(m.theta)):
            for factor in (0.999, 1.001):
                beside = np.array(m.theta)
                beside[i] *= factor
                lower = float(right.criterion - exact_at(m, beside, reml).criterion)
                if lower > TOLERANCE:
                    found.append(f"theta[{i}]: {lower:.1e} lower beside it")
    return number, found, said, noise


def main() -> int:
    """Try the designs and print what is off; 1 when something is without a word of it."""
    silent, off, warned, total = 0, 0, 0, 0
    for number, found, said, noise in outcomes(shortfalls, __doc__, designs=2000):
        total, off, warned = total + 1, off + bool(found), warned + said
        if found:
            silent += not said
            heading = f"{number} (noise {noise:.1e}), {'said' if said else 'SILENT'}"
            print(f"{heading}: {'; '.join(found[:4])}", flush=True)
    print(
        f"{total} designs: {off} with a number that is off by more than {TOLERANCE:g}, {silent} of them silently; "
        f"{warned} warned"
    )
    return int(silent > 0)


if __name__ == "__main__":
    raise SystemExit(main())
