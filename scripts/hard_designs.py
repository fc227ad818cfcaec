"""Small hard designs: whether a fit ends above the lowest of many searches by another program's optimizer.

    python -m scripts.hard_designs [--designs 5000] [--searches 20] [--first 0]

Skewed and heavy-tailed covariates, 2 to 8 levels, 20 to 80 rows, one to three bars; every second design with weights
over two decades and an outlying group.  The criterion is written once more, densely, and minimized by SciPy's L-BFGS-B
from well-spread starts.  A fit that is more than 1e-3 higher must say so.
"""

from __future__ import annotations

import warnings
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.optimize import minimize

from lmmsparse import lmer
from lmmsparse.errors import ConvergenceWarning, GroupingError
from scripts.tried import outcomes

Float = NDArray[np.float64]

# A fit that is higher by more than this is too high.
SLACK = 1e-3
# Formula, columns of X, and columns and grouping factor of every independent term.
MODELS: tuple[tuple[str, str, tuple[tuple[str, str], ...]], ...] = (
    ("y ~ 1 + (1 | a)", "1", (("1", "a"),)),
    ("y ~ x + (1 | a)", "1x", (("1", "a"),)),
    ("y ~ 1 + (z | a)", "1", (("1z", "a"),)),
    ("y ~ z + (z | a)", "1z", (("1z", "a"),)),
    ("y ~ 1 + (z || a)", "1", (("1", "a"), ("z", "a"))),
    ("y ~ x + (0 + z | a)", "1x", (("z", "a"),)),
    ("y ~ 1 + (1 | a) + (1 | b)", "1", (("1", "a"), ("1", "b"))),
    ("y ~ x + (z | a) + (1 | b)", "1x", (("1z", "a"), ("1", "b"))),
    ("y ~ 1 + (0 + z | a) + (1 | b)", "1", (("z", "a"), ("1", "b"))),
    ("y ~ 1 + (z || a) + (1 | b)", "1", (("1", "a"), ("z", "a"), ("1", "b"))),
    ("y ~ x + (1 | a) + (1 | b) + (1 | c)", "1x", (("1", "a"), ("1", "b"), ("1", "c"))),
    ("y ~ 1 + (0 + z | a) + (0 + x | b) + (1 | c)", "1", (("z", "a"), ("x", "b"), ("1", "c"))),
    ("y ~ 1 + (z + x | a)", "1", (("1zx", "a"),)),
    ("y ~ z + (z + x || a)", "1z", (("1", "a"), ("z", "a"), ("x", "a"))),
    ("y ~ 1 + (1 | a) + (1 | a:b)", "1", (("1", "a"), ("1", "ab"))),
)


@dataclass(frozen=True)
class Design:
    """One of `MODELS` with its data, whether it is fitted by REML, and whether it has weights."""

    model: int
    data: dict[str, Any]
    reml: bool
    weighted: bool


def hard_design(number: int) -> Design:
    """The design of this number, always the same."""
    rng = np.random.default_rng([20_261_127, number])
    weighted, n = number % 2 == 1, int(rng.integers(20, 81))

    def covariate() -> Float:
        kind = rng.integers(4)
        if kind == 0:
            return np.exp(rng.normal(0.0, rng.uniform(0.5, 2.5), n))
        if kind == 1:
            return rng.standard_t(2.0, n)
        return rng.exponential(1.0, n) ** rng.uniform(1.0, 3.0) if kind == 2 else rng.normal(size=n)

    def codes() -> NDArray[np.int64]:
        levels = int(rng.integers(2, 9))
        drawn = rng.choice(levels, n, p=rng.dirichlet(np.full(levels, rng.uniform(0.5, 5.0))))
        return np.append(np.arange(2), drawn[2:])  # two levels at least

    z, x, a, b, c = covariate(), covariate(), codes(), codes(), codes()
    spread = np.where(rng.random(4) < 0.2, 0.0, 10.0 ** rng.uniform(-1.0, 1.0, 4))
    y = spread[0] * rng.normal(size=9)[a] + spread[1] * rng.normal(size=9)[b] + spread[2] * rng.normal(size=9)[a] * z
    noise = (rng.normal(size=n), rng.standard_t(2.0, n), rng.standard_t(1.0, n))[int(rng.integers(3))]
    data: dict[str, Any] = {"z": z.round(3), "x": x.round(3), "a": a, "b": b, "c": c}
    if weighted:
        w = 10.0 ** (rng.uniform(-1.0, 1.0, n) + rng.uniform(-1.0, 2.0))
        data["w"], noise = w, noise / np.sqrt(w)
        outlying = int(np.argmin(np.bincount(a, minlength=9) + n * (np.bincount(a, minlength=9) == 0)))
        y = y + (a == outlying) * 10.0 ** rng.uniform(0.0, 2.0) * max(1.0, float(np.std(noise)))
    data["y"] = (y + max(spread[3], 0.1) * noise).round(3)
    return Design(int(rng.integers(len(MODELS))), data, bool(rng.random() < 0.5), weighted)


class DenseCriterion:
    """The criterion as a function of the entries of λ, with its gradient: dense algebra, nothing of the package's."""

    def __init__(self, design: Design) -> None:
        _, fixed, bars = MODELS[design.model]
        data = design.data | {"1": np.ones(len(design.data["y"])), "ab": 10 * design.data["a"] + design.data["b"]}
        root = np.sqrt(data["w"] if design.weighted else data["1"])
        Q, R = np.linalg.qr(root[:, None] * np.column_stack([data[name] for name in fixed]))
        y = root * data["y"]
        y = y - Q @ (Q.T @ y)
        blocks, self.sizes, self.levels = [], [len(columns) for columns, _ in bars], []
        for columns, group in bars:
            indicators = (data[group][:, None] == np.unique(data[group])).astype(float)
            parts = np.stack([root * data[name] for name in columns], axis=1)
            parts /= np.sqrt((parts**2).mean(axis=0))
            blocks.append((indicators[:, :, None] * parts[:, None, :]).reshape(len(y), -1))
            self.levels.append(indicators.shape[1])
        Z = np.hstack(blocks)
        self.A, self.B, self.b, self.yy = Z.T @ Z, Z.T @ Q, Z.T @ y, float(y @ y)
        self.p, self.reml = Q.shape[1], design.reml
        self.degrees = len(y) - (self.p if self.reml else 0)
        self.constant = -2.0 * float(np.log(root).sum())
        if self.reml:
            self.constant += 2.0 * float(np.log(np.abs(np.diag(R))).sum())
        self.entries = [np.tril_indices(k) for k in self.sizes]

    @property
    def n_theta(self) -> int:
        """Entries of all λ."""
        return sum(len(rows) for rows, _ in self.entries)

    def Lambda(self, theta: Float) -> Float:
        """Λ, block diagonal over terms and levels."""
        out, place, start = np.zeros_like(self.A), 0, 0
        for k, q, (rows, columns) in zip(self.sizes, self.levels, self.entries, strict=True):
            lam = np.zeros((k, k))
            lam[rows, columns] = theta[start : start + len(rows)]
            out[place : place + q * k, place : place + q * k] = np.kron(np.eye(q), lam)
            place, start = place + q * k, start + len(rows)
        return out

    def __call__(self, theta: Float) -> tuple[float, Float]:
        """Value and gradient."""
        L = self.Lambda(theta)
        AL = self.A @ L
        factor = np.linalg.cholesky(L.T @ AL + np.eye(len(L)))
        half = np.linalg.solve(factor, np.column_stack([AL.T, L.T @ self.B, L.T @ self.b]))
        q, p = len(L), self.p
        HA, HX, hy = half[:, :q], half[:, q : q + p], half[:, -1]
        XX = np.eye(p) - HX.T @ HX
        beta = np.linalg.solve(XX, -HX.T @ hy)
        square = self.yy - hy @ hy + beta @ (HX.T @ hy)
        value = 2.0 * np.log(np.diag(factor)).sum() + self.degrees * (1.0 + np.log(2 * np.pi * square / self.degrees))
        ZVX, ZVe = self.B - HA.T @ HX, self.b - HA.T @ hy
        ZVe = ZVe - ZVX @ beta
        score = self.A - HA.T @ HA - np.outer(ZVe, ZVe) * self.degrees / square
        if self.reml:
            value += np.linalg.slogdet(XX)[1]
            score -= ZVX @ np.linalg.solve(XX, ZVX.T)
        full = 2.0 * score @ L
        gradient, place = [], 0
        for k, levels, (rows, columns) in zip(self.sizes, self.levels, self.entries, strict=True):
            own = full[place : place + levels * k, place : place + levels * k].reshape(levels, k, levels, k)
            gradient.append(np.einsum("iaib->ab", own)[rows, columns])
            place += levels * k
        return float(value + self.constant), np.concatenate(gradient)

    def start(self, rng: np.random.Generator) -> Float:
        """Standard deviations from 1/100 to 100 σ, each on its own, with any correlations."""
        parts = []
        for k, (rows, columns) in zip(self.sizes, self.entries, strict=True):
            lam = np.tril(rng.normal(size=(k, k)))
            lam *= 10.0 ** rng.uniform(-2.0, 2.0, (k, 1)) / np.linalg.norm(lam, axis=1, keepdims=True)
            parts.append(lam[rows, columns])
        return np.concatenate(parts)

    def lowest(self, searches: int, rng: np.random.Generator) -> float:
        """The lowest end of L-BFGS-B from so many starts."""

        def guarded(theta: Float) -> tuple[float, Float]:
            try:
                value, gradient = self(theta)
            except np.linalg.LinAlgError:
                value = np.nan
            return (value, gradient) if np.isfinite(value) else (1e10, np.zeros(len(theta)))

        ends = []
        for _ in range(searches):
            options = {"maxiter": 500, "ftol": 1e-11, "gtol": 1e-6}
            ends.append(float(minimize(guarded, self.start(rng), jac=True, method="L-BFGS-B", options=options).fun))
        return min(ends)


@dataclass(frozen=True)
class Outcome:
    """How far the fit of a design is above the lowest search, whether it said so, and what it took."""

    number: int
    excess: float
    said: bool
    evaluations: int
    message: str


def outcome(number: int, searches: int) -> Outcome:
    """Fit a design and search for something lower."""
    design = hard_design(number)
    with warnings.catch_warnings(record=True) as caught, np.errstate(all="ignore"):
        warnings.simplefilter("always")
        weights = "w" if design.weighted else None
        try:
            m = lmer(MODELS[design.model][0], design.data, REML=design.reml, weights=weights)
        except GroupingError:  # as many combinations as rows
            return Outcome(number, 0.0, True, 0, "refused")
        said = any(issubclass(one.category, ConvergenceWarning) for one in caught)
        lowest = DenseCriterion(design).lowest(searches, np.random.default_rng(number))
    return Outcome(number, m.criterion - lowest, said, m.optinfo.evaluations, m.optinfo.message)


def main() -> int:
    """Try the designs and print what is too high; 1 when something is without a word of it."""
    tried = []
    for one in outcomes(outcome, __doc__, designs=5000, searches=20):
        tried.append(one)
        if not one.excess <= SLACK:
            said = "said" if one.said else "SILENT"
            print(f"{one.number}: {one.excess:.4g} too high, {said}: {one.message}", flush=True)
    high = [one for one in tried if not one.excess <= SLACK]
    lower = sum(one.excess < -SLACK for one in tried)
    evaluations = np.median([one.evaluations for one in tried])
    silent = sum(not one.said for one in high)
    print(
        f"{len(tried)} designs: {len(high)} too high, {silent} of them silently; {lower} lower than all "
        f"the searches; {evaluations:g} evaluations (median)"
    )
    return int(silent > 0)


if __name__ == "__main__":
    raise SystemExit(main())
