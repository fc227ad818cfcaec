"""Standard deviations and a structure of correlations: ``diag``, ``homdiag``, ``cs`` and ``homcs``, as in glmmTMB.

Σ = D R(ρ) D with a diagonal matrix D of standard deviations over σ, one for each effect or one for all, and
correlations that are zero or all of them ρ.  θ holds the former, then ρ where there is one.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.covariance.frames import ScalarFrame, Scalars
from lmmsparse.covariance.held import ScalarCoordinates
from lmmsparse.covariance.protocols import Empty, Keeps, Quantity, TermCoordinates
from lmmsparse.covariance.structure import Covariance, Index, lower_triangle

Float = NDArray[np.float64]

# Steps towards the direction in which the criterion falls most from no variance at all.
DIRECTION_STEPS = 50


@dataclass(frozen=True)
class ScaledCorrelation(Covariance):
    """Σ = D R(ρ) D; what the structures below differ in are two facts."""

    # one standard deviation for all effects
    common: ClassVar[bool]

    @property
    def has_rho(self) -> bool:
        """Whether a correlation is a parameter: a single effect has none."""
        return self.correlated and self.size > 1

    @property
    def n_deviations(self) -> int:
        """Number of standard deviations among the parameters."""
        return 1 if self.common else self.size

    @property
    def n_theta(self) -> int:
        """Standard deviations, and maybe ρ."""
        return self.n_deviations + self.has_rho

    @cached_property
    def support(self) -> tuple[Index, Index]:
        """The lower triangle, or the diagonal of uncorrelated effects."""
        if self.has_rho:
            return lower_triangle(self.size)
        return np.arange(self.size), np.arange(self.size)

    @property
    def ends(self) -> tuple[float, float]:
        """Range of ρ: R(ρ) is positive semidefinite."""
        return (-1.0 / (self.size - 1) if self.size > 1 else -1.0), 1.0

    @cached_property
    def scalars(self) -> Scalars:
        """Σ depends on the signs of single standard deviations only where they are correlated."""
        deviations, rho = np.arange(self.n_deviations), np.arange(self.n_deviations, self.n_theta)
        none = np.zeros(0, dtype=np.intp)
        if self.has_rho and not self.common:
            return Scalars(even=none, squared=deviations, sine=rho, ends=self.ends)
        return Scalars(even=deviations, squared=none, sine=rho, ends=self.ends)

    @cached_property
    def _spread(self) -> Float:
        """The (k, deviations) matrix that gives every effect its standard deviation."""
        return np.ones((self.size, 1)) if self.common else np.eye(self.size)

    def _parts(self, theta: Float) -> tuple[Float, Float]:
        """Standard deviation of every effect (…, k), and R (…, k, k)."""
        theta = np.asarray(theta, dtype=float)
        deviations = theta[..., : self.n_deviations] @ self._spread.T
        if not self.has_rho:
            return deviations, np.broadcast_to(np.eye(self.size), (*deviations.shape, self.size))
        rho = theta[..., -1][..., None, None]
        return deviations, np.where(np.eye(self.size, dtype=bool), 1.0, rho)

    def template(self, theta: Float) -> Float:
        """λ = D L with R = L Lᵀ, whose entries below the diagonal are those of their column: in closed form."""
        deviations, _ = self._parts(theta)
        if not self.has_rho:
            return np.asarray(deviations[..., None] * np.eye(self.size))
        rho, j = np.asarray(theta)[..., -1:], np.arange(1, self.size)
        before, own, rest = 1.0 + (j - 1) * rho, np.maximum(1.0 + j * rho, 0.0), np.maximum(1.0 - rho, 0.0)
        L = np.zeros((*deviations.shape, self.size))
        L[..., 0, 0], L[..., 1:, 0] = 1.0, rho
        L[..., j, j] = np.sqrt(rest * own / before)
        with np.errstate(invalid="ignore", divide="ignore"):
            below = rho * np.sqrt(rest / (before * own))
        for a in range(1, self.size - 1):
            L[..., a + 1 :, a] = below[..., a - 1 : a]
        return np.asarray(deviations[..., None] * L)

    def theta(self, template: Float) -> Float:
        """Standard deviations, their root mean square where they are one, and the mean of the correlations."""
        covariance = template @ np.swapaxes(template, -1, -2)
        squares = np.diagonal(covariance, axis1=-2, axis2=-1)
        deviations = np.sqrt(squares.mean(axis=-1, keepdims=True) if self.common else squares)
        if not self.has_rho:
            return np.asarray(deviations)
        a, b = np.tril_indices(self.size, -1)
        sizes = np.sqrt(squares[..., a] * squares[..., b])
        correlations = covariance[..., a, b] / np.where(sizes > 0.0, sizes, 1.0)
        rho = np.clip(correlations.mean(axis=-1, keepdims=True), *self.ends)
        return np.concatenate([deviations, rho], axis=-1)

    def jacobian(self, theta: Float) -> Float:
        """Σ_ab = d_a d_b R_ab by the product rule."""
        (d, R), (a, b) = self._parts(theta), self.support
        spread = self._spread
        J = (spread[a] * d[..., b, None] + spread[b] * d[..., a, None]) * R[..., a, b, None]
        if not self.has_rho:
            return np.asarray(J)
        return np.concatenate([J, np.where(a == b, 0.0, d[..., a] * d[..., b])[..., None]], axis=-1)

    def curvature(self, theta: Float, score: Float) -> Float:
        """2 T ∘ R between standard deviations, 2 (T − diag T) d with ρ, none of ρ with itself."""
        (d, R), spread, m = self._parts(theta), self._spread, self.n_deviations
        out = np.zeros((*d.shape[:-1], self.n_theta, self.n_theta))
        out[..., :m, :m] = spread.T @ (2.0 * score * R) @ spread
        if self.has_rho:
            off = np.where(np.eye(self.size, dtype=bool), 0.0, score)
            out[..., :m, -1] = out[..., -1, :m] = (2.0 * (off @ d[..., None])[..., 0]) @ spread
        return out

    def unit_map(self, L: Float) -> Float:
        """Standard deviations change with the units of their columns; ρ has none."""
        units = np.diag(L)[: self.n_deviations]
        return np.diag(np.append(units, np.ones(int(self.has_rho))))

    def bounds(self) -> tuple[Float, Float]:
        """Standard deviations are not negative, ρ lies between its ends."""
        low, high = np.zeros(self.n_theta), np.full(self.n_theta, np.inf)
        if self.has_rho:
            low[-1], high[-1] = self.ends
        return low, high

    def names(self, group: str, columns: Sequence[str]) -> tuple[str, ...]:
        """``g.x`` of every column, or ``g.sd`` of all; then ``g.rho``, or ``g.rho_`` where a column has that name."""
        deviations = (f"{group}.sd",) if self.common else tuple(f"{group}.{column}" for column in columns)
        rho = f"{group}.rho"
        while rho in deviations:
            rho += "_"
        return (*deviations, rho) if self.has_rho else deviations

    @cached_property
    def quantities(self) -> tuple[Quantity, ...]:
        """The parameters themselves."""
        every = tuple(range(self.size))
        shared = self.common and self.size > 1
        deviations = (Quantity("sd", every, True),) if shared else tuple(Quantity("sd", (i,)) for i in every)
        if not self.has_rho:
            return deviations
        return (*deviations, Quantity("cor", (1, 0)) if self.size == 2 else Quantity("cor", every, True))

    def quantity_values(self, theta: Float) -> tuple[Float, Float]:
        """θ, each with itself; a correlation of effects without variance is NaN."""
        values = np.array(self.canonical(theta), dtype=float)
        slopes = np.broadcast_to(np.eye(self.n_theta), (*values.shape, self.n_theta)).copy()
        if self.has_rho:
            lost = self._rho_lost(values)
            values[..., -1] = np.where(lost, np.nan, values[..., -1])
            slopes[..., -1, :] = np.where(lost[..., None], np.nan, slopes[..., -1, :])
        return values, slopes

    def _rho_lost(self, theta: Float) -> NDArray[np.bool_]:
        """Whether there is nothing that ρ could correlate."""
        varying = (theta[..., : self.n_deviations] != 0.0).sum(axis=-1)
        return np.asarray(self.has_rho & (varying < min(2, self.n_deviations)))

    def canonical(self, theta: Float) -> Float:
        """Standard deviations without signs: of correlated ones, some negative and some not, that is another Σ."""
        out = np.abs(theta)
        out[..., self.n_deviations :] = np.asarray(theta)[..., self.n_deviations :]
        return np.asarray(out)

    def _ended(self, theta: Float, smallest: float) -> NDArray[np.bool_]:
        return np.asarray(self.scalars.to_end(theta) < smallest)

    def emptied(self, theta: Float, smallest: float) -> Float:
        """Small standard deviations are zero; ρ close to an end is there."""
        out, ended = self.canonical(theta), self._ended(theta, smallest)
        if not ended.any():
            return theta
        low, high = self.ends
        if self.has_rho and ended[-1]:
            out[-1] = low if out[-1] - low < high - out[-1] else high
        out[: self.n_deviations][ended[: self.n_deviations]] = 0.0
        return out

    def lifted(self, theta: Float, smallest: float) -> Float:
        """Small standard deviations are ``smallest``; ρ is as far from its ends."""
        out, ended = self.canonical(theta), self._ended(theta, smallest)
        if not ended.any():
            return theta
        low, high = self.ends
        margin = smallest**2 * (high - low)
        out[: self.n_deviations] = np.maximum(out[: self.n_deviations], smallest)
        out[self.n_deviations :] = np.clip(out[self.n_deviations :], low + margin, high - margin)
        return out

    def scaled(self, theta: Float, factor: float) -> Float:
        """θ with all standard deviations times a factor."""
        out = np.array(theta, dtype=float)
        out[: self.n_deviations] *= factor
        return out

    @property
    def n_variances(self) -> int:
        """One for all where nothing else depends on it."""
        return self.size if self.correlated else self.n_deviations

    @property
    def linear(self) -> bool:
        """False for standard deviations of their own with one correlation, ρ d_a d_b."""
        return not (self.has_rho and not self.common and self.size > 2)

    def entry_basis(self, theta: Float) -> Float:
        """Variances, one by one or all together, and the common covariance."""
        if not self.linear:
            return self.jacobian(theta)
        a, b = self.support
        basis = np.where((a == b)[:, None], self._spread[a], 0.0)
        return np.column_stack([basis, a != b]).astype(float) if self.has_rho else basis

    def step_units(self, theta: Float) -> Float:
        """Standard deviations are known in their own units, ρ the better the nearer it is to an end."""
        units, (low, high) = np.maximum(1.0, np.abs(theta)), self.ends
        rho = np.asarray(theta)[self.n_deviations :]
        units[self.n_deviations :] = 2.0 * np.sqrt(np.maximum((rho - low) * (high - rho), 0.0)) / (high - low)
        units[self.at_end(theta)] = 1.0
        return np.asarray(units)

    def at_end(self, theta: Float) -> NDArray[np.bool_]:
        """ρ at an end, and standard deviations of zero where Σ depends on their sign."""
        out = np.zeros(self.n_theta, dtype=bool)
        out[self.scalars.squared] = theta[self.scalars.squared] == 0.0
        out[self.scalars.sine] = np.isin(theta[self.scalars.sine], self.ends)
        return out

    def frame(self, theta: Float) -> ScalarFrame:
        """Each parameter by itself."""
        return ScalarFrame.around(self, self.scalars, theta)

    def empty(self, theta: Float, score: Float, columns: Sequence[str]) -> list[Empty]:
        """Standard deviations of zero, and a ρ at an end.

        Where Σ does not depend on the sign of a standard deviation, its score is the derivative with respect to the
        variance; elsewhere it is that with respect to the standard deviation.  While there is nothing to correlate,
        any ρ leads inwards: the score is linear in it, hence lowest at one of its ends.
        """
        theta, m = self.canonical(theta), self.n_deviations
        scale, found = float(np.abs(np.diag(score)).max()), []
        names = ("sd",) if self.common and self.size > 1 else tuple(columns)
        lost = bool(self._rho_lost(theta))
        for i in np.flatnonzero(theta[:m] == 0.0).tolist():
            ways = [self._inwards(i, np.append(theta[:m], rho), score) for rho in (self.ends if lost else theta[m:])]
            value, move = min(ways or [self._inwards(i, theta, score)], key=lambda way: way[0])
            move[m:] -= theta[m:]
            found.append(Empty(names[i], move, value, scale))
        if self.has_rho and theta[-1] in self.ends and not lost:
            inwards = 1.0 if theta[-1] == self.ends[0] else -1.0
            slope = float(self.gradient(theta, score)[-1])
            found.append(Empty("rho", inwards * np.eye(self.n_theta)[-1], inwards * slope, scale))
        return found

    def _inwards(self, i: int, theta: Float, score: Float) -> tuple[float, Float]:
        """Derivative of the criterion where standard deviation i becomes positive, and the move: all that do, and ρ."""
        m, move = self.n_deviations, np.array(theta)
        move[:m] = np.eye(m)[i]
        slope = float(self.gradient(theta, score)[i])
        if i not in self.scalars.even and abs(slope) > 1e-12 * float(np.abs(np.diag(score)).max()):
            return slope, move
        bends = self.curvature(theta, score)[:m, :m] / 2.0
        if not theta[:m].any():
            move[:m] = lowest_direction(bends, i)
        return float(move[:m] @ bends @ move[:m]), move

    def _is_rho(self, one: Empty) -> bool:
        return not one.move[: self.n_deviations].any()

    def describe(self, found: Sequence[Empty], group: str, columns: Sequence[str]) -> str:
        """Which variances are zero, or at which end ρ is."""
        without = [one.name for one in found if not self._is_rho(one)]
        if len(without) == self.n_deviations:
            return f"no variance of {', '.join(columns)} in {group}"
        parts = [f"no variance of {', '.join(f'{group}.{name}' for name in without)}"] if without else []
        for one in filter(self._is_rho, found):
            end = self.ends[0] if one.move[-1] > 0 else 1.0
            parts.append(f"the correlation of {', '.join(columns)} in {group} is {end:.4g}, the end of its range")
        return " and ".join(parts)

    def off_boundary(self, theta: Float, outward: Sequence[Empty], step: float) -> Float:
        """Standard deviations of ``step`` where the lowest score wants its ρ, and a ρ that is as far from its ends."""
        out, m, (low, high) = self.canonical(theta), self.n_deviations, self.ends
        deviations = sorted((one for one in outward if not self._is_rho(one)), key=lambda one: one.score)
        for one in deviations:
            if np.array_equal(one.move[m:], deviations[0].move[m:]):
                out[:m] += step * one.move[:m]
        if deviations:
            out[m:] += deviations[0].move[m:]
        margin = step**2 * (high - low)
        out[m:] = np.clip(out[m:], low + margin, high - margin)
        return out

    def coordinates(self, theta: Float, units: Float) -> TermCoordinates:
        """Those of `Scalars`."""
        return ScalarCoordinates(self, self.scalars, theta, self._units(units))

    def held(self, quantity: int, theta: Float, units: Float) -> TermCoordinates:
        """Those of `Scalars` but one."""
        return ScalarCoordinates(self, self.scalars, theta, self._units(units), at=quantity)

    def _units(self, units: Float) -> Float:
        """Unit of every parameter."""
        deviations = units[:1] if self.common else units
        return np.append(deviations, np.ones(int(self.has_rho)))


def lowest_direction(M: Float, i: int) -> Float:
    """A unit vector u >= 0 with a low uᵀMu: from e_i by steps to (cI − M)u, none of which raises it."""
    u, c = np.eye(len(M))[i], 2.0 * float(np.abs(M).sum(axis=1).max())
    for _ in range(DIRECTION_STEPS if c > 0.0 else 0):
        u = np.maximum(c * u - M @ u, 0.0)
        u = u / np.linalg.norm(u)
    return u


@dataclass(frozen=True)
class Diagonal(ScaledCorrelation):
    """``diag(x | g)`` or ``(x || g)``: independent effects with a variance each."""

    keyword: ClassVar[str] = "diag"
    keeps: ClassVar[Keeps] = Keeps.SCALES
    correlated: ClassVar[bool] = False
    common: ClassVar[bool] = False


@dataclass(frozen=True)
class HomogeneousDiagonal(ScaledCorrelation):
    """``homdiag(x | g)``: independent effects with one variance for all."""

    keyword: ClassVar[str] = "homdiag"
    keeps: ClassVar[Keeps] = Keeps.SCALE
    correlated: ClassVar[bool] = False
    common: ClassVar[bool] = True


@dataclass(frozen=True)
class CompoundSymmetry(ScaledCorrelation):
    """``cs(x | g)``: a variance each and one correlation, heterogeneous compound symmetry."""

    keyword: ClassVar[str] = "cs"
    keeps: ClassVar[Keeps] = Keeps.SCALES
    correlated: ClassVar[bool] = True
    simpler: ClassVar[tuple[str, ...]] = ("diag",)
    common: ClassVar[bool] = False


@dataclass(frozen=True)
class HomogeneousCompoundSymmetry(ScaledCorrelation):
    """``homcs(x | g)``: one variance and one correlation for all."""

    keyword: ClassVar[str] = "homcs"
    keeps: ClassVar[Keeps] = Keeps.SCALE
    correlated: ClassVar[bool] = True
    simpler: ClassVar[tuple[str, ...]] = ("homdiag",)
    common: ClassVar[bool] = True
