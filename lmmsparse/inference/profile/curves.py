"""Profiled likelihoods: what they hold, and the intervals that they give."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_flag, checked_level
from lmmsparse.errors import ArgumentError
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.parameters import selected_parameters
from lmmsparse.inference.profile.path import NEAR, Path, Step, follow, hermite, interpolate, lowest
from lmmsparse.inference.profile.restricted import Parameter, Point, RestrictedDeviance
from lmmsparse.numerics.distributions import normal_quantile
from lmmsparse.numerics.readonly import locked
from lmmsparse.numerics.threads import single_threaded_blas
from lmmsparse.objective.linear import Objective

Float = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class ProfileCurve:
    """Profiled likelihood of one parameter.

    Attributes
    ----------
    name, lme4_name : str
        Such as ``sd_Days|Subject`` and ``.sig03``.
    estimate : float
        By maximum likelihood.
    values : (m,) array
        The parameter, increasing; a correlation or a standard deviation with its limit where that was met.
    zeta : (m,) array
        Signed root of the increase of the deviance; for a large sample standard normal at the true value.
    others : (m, n_parameters) array
        All parameters of the model at those points, in the order of the profile's ``parameters``.
    complete : (bool, bool)
        Whether the ends reached the last ζ or a limit of the parameter.
    evaluations : int
        Evaluations of the deviance and its gradient on the path.
    parameter : Parameter
    coordinate, slope : (m,) arrays
        Where the path was followed, and dζ/dcoordinate: φ with correlation sin φ, log σ, or the parameter itself.
    """

    name: str
    lme4_name: str
    estimate: float
    values: Float = field(repr=False)
    zeta: Float = field(repr=False)
    others: Float = field(repr=False)
    complete: tuple[bool, bool]
    evaluations: int
    parameter: Parameter = field(repr=False)
    coordinate: Float = field(repr=False)
    slope: Float = field(repr=False)

    def __post_init__(self) -> None:
        """Intervals are computed from what is shown."""
        locked(self)

    def interval(self, level: float = 0.95) -> tuple[float, float]:
        """Likelihood-ratio confidence interval.

        An end is the limit of the parameter (0, −1 or 1) where the likelihood does not rule that out.

        Parameters
        ----------
        level : float

        Returns
        -------
        (float, float)
            NaN where the curve was not followed far enough.
        """
        last = interval_quantile(checked_level("interval", level))
        ends = []
        for side, limit in zip((-1, 1), self.parameter.limits, strict=True):
            reached = abs(float(self.zeta[0 if side < 0 else -1]))
            at_limit = bool(np.isfinite(limit) and self.coordinate[0 if side < 0 else -1] == limit)
            if at_limit and reached < last:
                ends.append(limit)
            elif reached >= last - 1.1 * NEAR and len(self.zeta) > 1:
                c = hermite(self.zeta, self.coordinate, self.slope, side * last)
                ends.append(float(np.clip(c, *self.parameter.limits)))
            else:
                ends.append(np.nan)
        low, high = self.parameter.from_coordinate(np.array(ends)).tolist()
        return low, high


@dataclass(frozen=True, repr=False, eq=False)
class Profile:
    """Profiled likelihoods of the parameters of a model, from `LinearMixedModel.profile`.

    Attributes
    ----------
    curves : tuple of ProfileCurve
    parameters : tuple of str
        Names of all parameters of the model.
    level : float
        Highest level of the intervals that the curves reach.
    library : str
        Library of the frames.
    """

    curves: tuple[ProfileCurve, ...]
    parameters: tuple[str, ...]
    level: float
    library: str

    @property
    def names(self) -> tuple[str, ...]:
        """Names of the profiled parameters."""
        return tuple(curve.name for curve in self.curves)

    def __getitem__(self, name: str) -> ProfileCurve:
        """The curve of a parameter, by either of its names."""
        (position,) = chosen([curve.parameter for curve in self.curves], [name], "profile")
        return self.curves[position]

    def __repr__(self) -> str:
        return f"<Profile of {', '.join(self.names)} to level {self.level:g}>"

    def conf_int(self, level: float = 0.95, parm: Any = None, lme4_names: bool = False) -> pd.DataFrame:
        """Likelihood-ratio confidence intervals.

        Parameters
        ----------
        level : float
            Not above that of the profile.
        parm : str or sequence of str, optional
            Names of parameters, lme4's or readable ones; all by default.
        lme4_names : bool
            Label the rows ``.sig01``, …, ``.sigma`` instead of ``sd_(Intercept)|Subject``, …, ``sigma``.

        Returns
        -------
        pandas.DataFrame
            Columns ``conf_low`` and ``conf_high``, one row a parameter.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> print(m.profile("Days").conf_int(0.9).round(3))
              conf_low  conf_high
        Days     7.901     13.034
        """
        if interval_quantile(checked_level("conf_int", level)) > interval_quantile(self.level) + 1e-9:
            raise ArgumentError(
                f"conf_int: the profile reaches level {self.level:g} only; use profile(level={level:g}) for this one"
            )
        parameters = [curve.parameter for curve in self.curves]
        curves = [self.curves[i] for i in chosen(parameters, parm, "conf_int")]
        codes = checked_flag("conf_int", "lme4_names", lme4_names)
        index = [curve.lme4_name if codes else curve.name for curve in curves]
        rows = np.array([curve.interval(level) for curve in curves]).reshape(len(curves), 2)
        return pd.DataFrame(rows, index=index, columns=["conf_low", "conf_high"])

    def to_frame(self) -> Any:
        """All curves below each other.

        Columns ``parameter``, ``value`` and ``zeta``, and one for every parameter of the model with its value there.
        """
        parts = []
        for curve in self.curves:
            table = pd.DataFrame(curve.others, columns=list(self.parameters))
            table.insert(0, "parameter", curve.name)
            table.insert(1, "value", curve.values, allow_duplicates=True)
            table.insert(2, "zeta", curve.zeta, allow_duplicates=True)
            parts.append(table)
        return to_library(pd.concat(parts, ignore_index=True), self.library)


def interval_quantile(level: float) -> float:
    """z of a two-sided interval."""
    return float(normal_quantile(0.5 + level / 2.0))


def chosen(parameters: Sequence[Parameter], which: Any, where: str) -> list[int]:
    """Positions of the named parameters; a part of the model that has none is unknown."""
    parts: dict[str, list[int]] = {}
    for position, p in enumerate(parameters):
        parts.setdefault("beta_" if p.kind == "beta" else "theta_", []).append(position)
    codes, names = [p.lme4_name for p in parameters], [p.name for p in parameters]
    return selected_parameters(where, which, codes, names, parts)


def profile_curve(
    objective: Objective,
    estimates: Estimates,
    parameter: Parameter,
    every: Sequence[Parameter],
    level: float,
    count: int,
) -> tuple[ProfileCurve, float]:
    """Profile one parameter.

    Parameters
    ----------
    objective : Objective
        Of an ML fit, with its ``estimates``.
    every : sequence of Parameter
        All parameters, whose values are recorded.
    level : float
    count : int
        Steps on either side.

    Returns
    -------
    ProfileCurve
    float
        By how much the lowest deviance on the path lies below that of the fit.
    """
    deviance = RestrictedDeviance(objective, estimates, parameter)
    if deviance.undefined:
        return _free_correlation(deviance, parameter, every), 0.0
    with single_threaded_blas():
        path: Path[Point] = follow(
            deviance,
            deviance.start,
            deviance.c,
            deviance.scale,
            parameter.limits,
            interval_quantile(level),
            count,
            positive=deviance.positive,
            lift=deviance.lifted,
        )
        if parameter.kind == "cor":
            path = _under(path, _ceiling(objective, estimates, parameter), parameter.limits)
    coordinate = np.array([step.point.c for step in path.steps])
    zeta = np.array([step.zeta for step in path.steps])
    others = np.array([step.point.values(every) for step in path.steps])
    others[:, every.index(parameter)] = parameter.from_coordinate(coordinate)
    curve = ProfileCurve(
        name=parameter.name,
        lme4_name=parameter.lme4_name,
        estimate=float(parameter.from_coordinate(np.array(deviance.c))),
        values=np.asarray(parameter.from_coordinate(coordinate)),
        zeta=zeta,
        others=others,
        complete=path.complete,
        evaluations=path.evaluations,
        parameter=parameter,
        coordinate=coordinate,
        slope=np.array([step.slope for step in path.steps]),
    )
    origin = next(step.point.value for step in path.steps if step.zeta == 0.0)
    return curve, origin - path.lowest


def _ceiling(objective: Objective, estimates: Estimates, parameter: Parameter) -> Point | None:
    """The point of lowest deviance where one of the two effects has no variance: no correlation can be worse.

    None where no standard deviation alone leaves the correlation without meaning.
    """
    if len(parameter.effects) > 2:
        return None
    quantities, found = objective.terms[parameter.term].structure.quantities, []
    for q, quantity in enumerate(quantities):
        if quantity.kind == "sd" and quantity.effects in [(effect,) for effect in parameter.effects]:
            deviance = RestrictedDeviance(objective, estimates, replace(parameter, kind="sd", quantity=q))
            found.append(lowest(deviance, deviance.start, deviance.c, deviance.scale, 0.0, deviance.lifted))
    return min((point for point in found if point is not None), key=lambda point: point.value, default=None)


def _under(path: Path[Point], ceiling: Point | None, limits: tuple[float, float]) -> Path[Point]:
    """The path of a correlation, cut where the deviance reaches a ceiling and flat from there to the limit."""
    if ceiling is None:
        return path
    origin = next(i for i, step in enumerate(path.steps) if step.zeta == 0.0)
    top = float(np.sqrt(max(ceiling.value - path.steps[origin].point.value, 0.0)))
    if max(abs(step.zeta) for step in path.steps) <= top + 1e-6:
        return path
    sides = []
    for side, steps, limit in (
        (-1, path.steps[origin::-1], limits[0]),
        (1, path.steps[origin:], limits[1]),
    ):
        over = next((i for i, step in enumerate(steps) if abs(step.zeta) > top + 1e-6), None)
        kept = list(steps[1:over])
        if over is not None:
            pair = sorted(steps[over - 1 : over + 1], key=lambda step: step.zeta)
            edge = replace(ceiling, c=interpolate(pair, side * top))
            kept.append(Step(edge, side * top, steps[over].slope))
            kept.append(Step(replace(edge, c=limit), side * top, 0.0))
        sides.append(kept)
    return replace(path, steps=(*reversed(sides[0]), path.steps[origin], *sides[1]), complete=(True, True))


def _free_correlation(deviance: RestrictedDeviance, parameter: Parameter, every: Sequence[Parameter]) -> ProfileCurve:
    """A correlation with an effect that has no variance: the likelihood is the same for all of its values."""
    at = deviance(deviance.start, deviance.c).values(every)
    ends = np.array(parameter.limits)
    others = np.array([at, at])
    others[:, every.index(parameter)] = parameter.from_coordinate(ends)
    return ProfileCurve(
        name=parameter.name,
        lme4_name=parameter.lme4_name,
        estimate=np.nan,
        values=np.asarray(parameter.from_coordinate(ends)),
        zeta=np.zeros(2),
        others=others,
        complete=(True, True),
        evaluations=1,
        parameter=parameter,
        coordinate=ends,
        slope=np.zeros(2),
    )
