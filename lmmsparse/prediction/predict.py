"""Methods of a fitted model: predictions, random effects and simulated responses."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.arguments import checked_count, checked_flag, checked_level
from lmmsparse.errors import ArgumentError, NewDataError
from lmmsparse.fitted.effects import mode_covariances, mode_frames
from lmmsparse.fitted.means import predict_rows
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.simulate import draw_responses, generator
from lmmsparse.frame import Table, open_table
from lmmsparse.frame.output import to_library
from lmmsparse.inference.ddf import checked_ddf
from lmmsparse.inference.intervals import t_intervals
from lmmsparse.inference.kenward_roger import kenward_roger_of
from lmmsparse.inference.uncertainty import uncertainty_of
from lmmsparse.prediction.draws import kept_modes, new_terms
from lmmsparse.prediction.rows import PredictedRows, fitted_rows, new_rows
from lmmsparse.prediction.variances import (
    fixed_variance,
    kenward_roger_rows,
    mean_variance,
    new_effects_variance,
    satterthwaite,
)

Float = NDArray[np.float64]

INTERVALS = ("confidence", "prediction")


class Predicting(FittedModel):
    """Methods of a fitted model: predictions, random effects and simulated responses."""

    def predict(
        self,
        newdata: Any = None,
        re_form: Any = None,
        allow_new_levels: bool = False,
        offset: Any = None,
        se: bool = False,
        interval: str | None = None,
        level: float = 0.95,
        ddf: str | None = "satterthwaite",
        weights: Any = None,
    ) -> Any:
        """Predicted means, with standard errors and intervals if they are asked for.

        The variance of x(β̂ − β) + z(b̂ − b), z being zero on the effects that ``re_form`` leaves out, is
        σ²[z̃ᵀM⁻¹z̃ + x̃ᵀ(XᵀV⁻¹X)⁻¹x̃] with z̃ = Λᵀz and x̃ = x − XᵀWZΛM⁻¹z̃ (Henderson 1975, Biometrics 31, 423).  It
        counts the uncertainty of β̂ and of b̂; that of θ̂ and σ̂ is left to the degrees of freedom, 2v²/(gᵀAg) with g the
        derivatives of the variance v and A the covariance matrix of θ̂, σ̂; they are at least 1.

        Parameters
        ----------
        newdata : frame or dict of arrays, optional
            New rows; those of the fit by default.
        re_form : None, str or 0
            Random effects to include: all (None), none (``"~0"`` or 0), or those of a one-sided formula such as
            ``"~(1|g)"``.
        allow_new_levels : bool
            Predict rows of levels that the fit has not seen, or of none, with zero for the effects of that factor;
            their variance zᵀΣz counts in the standard error.
        offset : (m,) array, scalar or column name, optional
            Offset of the new rows beside ``offset()`` terms; needed when the fit had one, unless that was a column
            which newdata have as well.
        se : bool
            Standard errors.
        interval : {"confidence", "prediction"}, optional
            For the mean; or for a new observation in the row, which adds σ²/w and, for the random effects that
            ``re_form`` leaves out, the variance zᵀΣz of a new draw.  With ``re_form=0`` a prediction interval is that
            of an observation in new clusters: the columns left of the bars are needed, the grouping variables are not.
        level : float
            Coverage of the intervals.
        ddf : {"satterthwaite", "kenward-roger"} or None
            Degrees of freedom of the intervals; normal quantiles with None.  Kenward and Roger's method adjusts the
            covariance matrix of β̂, and is for confidence intervals with ``re_form=0``.
        weights : (m,) array, scalar or column name, optional
            Prior weights w of observations in the new rows, 1 by default, for prediction intervals; rows of the fit
            have theirs.

        Returns
        -------
        pandas.Series or frame
            The means, named ``predicted``; NaN where a variable is missing.  With ``se`` or ``interval`` a frame in the
            library of newdata, or of the data of the fit: ``predicted, std_error`` and, with an interval,
            ``df, conf_low, conf_high``.  ``std_error`` is always that of the mean.  Intervals of a perfect fit are NaN.

        Raises
        ------
        NewDataError
            A column is missing, or a level is new.
        ArgumentError
            ``re_form`` names random effects that the model does not have, or another argument cannot be used.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> new = {"Days": [0, 5], "Subject": ["308", "308"]}
        >>> m.predict(new).round(2).to_list()
        [253.66, 351.99]
        >>> m.predict(new, interval="confidence").round(1)
           predicted  std_error     df  conf_low  conf_high
        0      253.7       12.3   59.6     229.1      278.2
        1      352.0        8.0  155.9     336.2      367.8
        """
        with_error, coverage = checked_flag("predict", "se", se), checked_level("predict", level)
        new_levels = checked_flag("predict", "allow_new_levels", allow_new_levels)
        if interval is not None and (not isinstance(interval, str) or interval not in INTERVALS):
            raise ArgumentError(f"predict: interval must be 'confidence', 'prediction' or None, got {interval!r}")
        method = checked_ddf(ddf, "predict", self.is_reml)
        if newdata is None:
            _check_no_row_values("predict", offset, weights)
            rows, table = fitted_rows(self.frame, self.terms, re_form), None
        else:
            table, known = _opened(self, newdata, offset, "predict")
            rows = new_rows(
                self.frame,
                self.terms,
                table,
                re_form,
                allow_new_levels=new_levels,
                offset=known,
                weights=weights,
                with_others=interval == "prediction",
            )
        shown = with_error or interval is not None
        if method == "kenward-roger" and (rows.chosen or interval == "prediction") and shown:
            raise ArgumentError(
                "predict: Kenward and Roger's method is for functions of the fixed effects, with re_form=0 and no "
                "prediction interval; ask for ddf='satterthwaite' or None"
            )
        columns = {"predicted": rows.mean(self.estimates.beta, self.estimates.b)}
        if shown:
            columns |= _errors(self, rows, columns["predicted"], interval, coverage, method)
        if table is None:
            series = {name: self.frame.series(values, name) for name, values in columns.items()}
            if not shown:
                return series["predicted"]
            return to_library(pd.DataFrame(series), self.frame.library)
        if not shown:
            return pd.Series(columns["predicted"], index=table.index, name="predicted")
        library = self.frame.library if table.library == "dict" else table.library
        return to_library(pd.DataFrame(columns, index=table.index), library)

    def model_matrix_of(self, newdata: Any) -> pd.DataFrame:
        """Rows of the fixed-effect model matrix X for new data: what contrasts and marginal means are made of.

        Parameters
        ----------
        newdata : frame or dict of arrays with m rows
            Transforms such as ``poly`` and ``scale`` have what they learned from the data of the fit.

        Returns
        -------
        pandas.DataFrame
            (m, p), one column a coefficient; NaN in rows where a variable is missing.

        Raises
        ------
        NewDataError
            A column is missing, or a factor has a level that the fit has not seen.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> X = m.model_matrix_of({"Days": [0, 9]})
        >>> m.contest(X, joint=False)["estimate"].round(1).to_list()
        [251.4, 345.6]
        """
        table = open_table(newdata, allow_empty=True)
        return pd.DataFrame(self.frame.spec.fixed(table), index=table.index, columns=list(self.frame.fixed_names))

    def ranef(self, cond_var: bool = False, pred_var: bool = False) -> dict[str, Any]:
        """Conditional modes b̂ of the random effects.

        Parameters
        ----------
        cond_var : bool
            Return pairs of the frame and the (q, K, K) conditional covariance matrices σ²ΛM⁻¹Λᵀ of the effects of every
            level, given β̂ and θ̂.
        pred_var : bool
            Return pairs of the frame and the (q, K, K) covariance matrices of b̂ − b, which count the uncertainty of β̂
            (Henderson 1975): σ²Λ[M⁻¹ + U_X(XᵀV⁻¹X)⁻¹U_Xᵀ]Λᵀ with U_X = M⁻¹ΛᵀZᵀWX.

        Returns
        -------
        dict of str to frame
            A frame for every grouping factor: one row a level, one column an effect.

        Raises
        ------
        ArgumentError
            Both kinds of covariance matrices are asked for.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
        >>> modes, covariances = m.ranef(pred_var=True)["Batch"]
        >>> float(modes.loc["A", "(Intercept)"]), float(covariances[0, 0, 0])
        (-17.6068, 613.7039)
        """
        given, predicted = checked_flag("ranef", "cond_var", cond_var), checked_flag("ranef", "pred_var", pred_var)
        if given and predicted:
            raise ArgumentError("ranef: cond_var and pred_var are two covariance matrices; ask for one of them")
        frames = mode_frames(self.terms, self.estimates.b, self.frame.library)
        if not (given or predicted):
            return dict(frames)
        covariances = mode_covariances(self.terms, self.objective, self.estimates, with_fixed=predicted)
        return {group: (frame, covariances[group]) for group, frame in frames.items()}

    def simulate(
        self,
        nsim: int = 1,
        seed: Any = None,
        use_u: bool = False,
        newdata: Any = None,
        re_form: Any = None,
        allow_new_levels: bool = False,
        offset: Any = None,
        weights: Any = None,
    ) -> Float:
        """Responses drawn from the fitted model, (n, nsim).

        Parameters
        ----------
        nsim : int
        seed : int or numpy.random.Generator, optional
        use_u : bool
            Keep the estimated random effects instead of drawing new ones.
        newdata : frame or dict of arrays, optional
            New rows; those of the fit by default.
        re_form : None, str or 0
            Random effects to keep, the others being drawn anew: those of a one-sided formula such as ``"~(1|g)"``, or
            none (0), as with None.  ``use_u`` keeps all.  An effect is drawn from its own normal distribution, also
            where one that it is correlated with is kept.
        allow_new_levels : bool
            Where effects of a factor are kept, draw those of levels that the fit has not seen.  Where all are drawn,
            new levels need no leave.  Rows of one new level share its draw.
        offset : (m,) array, scalar or column name, optional
            Offset of the new rows beside ``offset()`` terms; needed when the fit had one, unless that was a column
            which newdata have as well.
        weights : (m,) array, scalar or column name, optional
            Prior weights of the new rows, 1 by default.

        Returns
        -------
        (n, nsim) array
            NaN in new rows where a variable or a level is missing.

        Raises
        ------
        NewDataError
            A column is missing, or a level is new where effects are kept.
        ArgumentError
            Both ``use_u`` and ``re_form``, or another argument that cannot be used.

        Examples
        --------
        >>> from lmmsparse import lmer, load_dataset
        >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
        >>> m.simulate(2, seed=1, newdata={"Days": [0, 1, 2], "Subject": ["new", "new", "308"]}).shape
        (3, 2)
        """
        count = checked_count("simulate", "nsim", nsim)
        keep = checked_flag("simulate", "use_u", use_u)
        new_levels = checked_flag("simulate", "allow_new_levels", allow_new_levels)
        if keep and re_form is not None:
            raise ArgumentError("simulate: use_u keeps all random effects, re_form some of them; give one of the two")
        rng = generator(seed)
        frame, estimates = self.frame, self.estimates
        kept = None
        if keep or re_form is not None:
            kept = kept_modes(frame, self.terms, estimates.b, None if keep else re_form)
        if newdata is None:
            _check_no_row_values("simulate", offset, weights)
            fixed = predict_rows(frame, self.terms, estimates.beta, estimates.b, re_form=0)
            drawn = (fixed, self.terms, estimates.templates, self.sigma, frame.weights)
            return draw_responses(*drawn, count, rng, kept)
        table, known = _opened(self, newdata, offset, "simulate")
        rows = new_rows(frame, self.terms, table, 0, allow_new_levels=True, offset=known, weights=weights)
        kept = kept or kept_modes(frame, self.terms, estimates.b, 0)
        terms, modes = new_terms(frame, self.terms, kept, table, new_levels)
        fixed = rows.mean(estimates.beta, estimates.b)
        for term in terms:
            fixed = np.where(term.codes < 0, np.nan, fixed)
        return draw_responses(fixed, terms, estimates.templates, self.sigma, rows.weights, count, rng, modes)


def _check_no_row_values(method: str, offset: Any, weights: Any) -> None:
    """Refuse values of new rows where there are none."""
    if offset is not None or weights is not None:
        name = "weights" if offset is None else "offset"
        raise ArgumentError(f"{method}: {name} goes with newdata; the rows of the fit have theirs")


def _opened(m: FittedModel, newdata: Any, offset: Any, method: str) -> tuple[Table, Any]:
    """New data, and the offset that goes with them: by default their column of the name that the fit had."""
    table = open_table(newdata, allow_empty=True)
    if m.call.has_offset and offset is None:
        if m.call.offset not in table.places:
            raise NewDataError(
                "the model was fitted with an offset argument: "
                f"give {method}(newdata, offset=...) the offset of the new rows, 0 for none"
            )
        offset = m.call.offset
    return table, offset


def _errors(
    m: FittedModel, rows: PredictedRows, predicted: Float, interval: str | None, level: float, method: str | None
) -> dict[str, Float]:
    """Standard errors of the means and, with an interval, degrees of freedom and limits."""
    if method == "kenward-roger":
        variance, df = kenward_roger_rows(rows.X, kenward_roger_of(m))
        error = spread = np.sqrt(variance)
    else:
        error, spread, df = _spreads(m, rows, interval, method)
    if interval is None:
        return {"std_error": error}
    df = np.where(np.isnan(spread) | m.estimates.perfect, np.nan, df)
    limits = t_intervals(predicted, spread, df, level)
    return {"std_error": error, "df": df, "conf_low": limits[:, 0], "conf_high": limits[:, 1]}


def _spreads(
    m: FittedModel, rows: PredictedRows, interval: str | None, method: str | None
) -> tuple[Float, Float, Float]:
    """Standard error of the mean; standard deviation that the interval is made of, and its degrees of freedom."""
    solution = m.estimates.solution
    with_slopes = interval is not None and method is not None and not m.estimates.perfect
    if with_slopes and not rows.chosen:
        variance = fixed_variance(rows.X, uncertainty_of(m), m.sigma)
    else:
        variance = mean_variance(m.objective, solution, rows, uncertainty_of(m).units if with_slopes else None)
    variance = variance.plus(new_effects_variance(m.objective, solution, rows, others=False))
    error = m.sigma * np.sqrt(variance.value)
    if interval == "prediction":
        noise = np.ones(len(error)) if rows.weights is None else 1.0 / rows.weights
        variance = variance.plus(new_effects_variance(m.objective, solution, rows, others=True))
        variance = variance._replace(value=variance.value + noise)
    df = satterthwaite(variance, uncertainty_of(m).covariance) if with_slopes else np.full(len(error), np.inf)
    return error, m.sigma * np.sqrt(variance.value), df
