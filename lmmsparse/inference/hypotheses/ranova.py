"""Likelihood-ratio tests of the random effects."""

from __future__ import annotations

from typing import Any

import numpy as np
import pandas as pd

from lmmsparse.arguments import check_memory, checked_count
from lmmsparse.fitted.model import FittedModel
from lmmsparse.fitted.simulate import generator
from lmmsparse.frame.libraries import to_library
from lmmsparse.inference.hypotheses.likelihood_ratio import likelihood_ratio
from lmmsparse.inference.hypotheses.reduced import check_likelihood, random_reductions, refitted_criterion
from lmmsparse.inference.hypotheses.simulated_ratio import simulated_ratio


def ranova(model: FittedModel, nsim: int = 0, seed: Any = 0) -> Any:
    """Likelihood-ratio tests of the random effects, each term reduced or removed in turn.

    ``(x | g)`` is reduced to ``(1 | g)``, ``(x + z | g)`` to ``(x | g)`` and ``(z | g)``, and ``(0 + f | g)`` with
    a factor f to ``(1 | g)``; other terms with a single column are removed, and of ``(x || g)`` each column.
    A REML fit is compared by its REML criterion: the fixed effects stay.

    Parameters
    ----------
    nsim : int
        Draws from the distribution of the statistic in finite samples (Crainiceanu and Ruppert 2004), for tests of
        a variance that is correlated with no other; none by default.
    seed : int or numpy.random.Generator, optional
        Of these draws; the same by default, so that the same question has the same answer.

    Returns
    -------
    frame
        ``term, npar, logLik, AIC, LRT, Df, p_value, p_mixture, reference`` with the whole model in the first row,
        ``<none>``.  ``p_value`` is that of χ² with ``Df`` degrees of freedom; ``p_mixture``, where one variance is
        tested, that of the 50:50 mixture of χ² with ``Df`` − 1 and ``Df``, since zero is the end of its range;
        ``reference`` says which distributions were used.  With ``nsim`` also ``p_simulated`` after ``p_mixture``:
        (1 + draws that reach the statistic)/(1 + nsim).  It is exact but for its Monte Carlo error where the
        variance is the only parameter of the random effects; where there are others, it is that of the model
        with this component alone (Greven et al. 2008), and ``reference`` says "approximate".  NaN for other tests.

    Raises
    ------
    ArgumentError
        ``nsim`` is no whole number or negative, the seed is none, or the model fits perfectly.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.ranova()[["term", "LRT", "Df"]].round(3).to_numpy().tolist()[1]
    ['Days in (Days | Subject)', 42.837, 2.0]
    >>> m = lmer("Yield ~ 1 + (1 | Batch)", load_dataset("Dyestuff"))
    >>> m.ranova(nsim=10_000)["reference"][1]
    'chi2(1); mixture: 0.5 chi2(0) + 0.5 chi2(1); simulated exact restricted LRT, 10000 draws'
    """
    draws = checked_count("ranova", "nsim", nsim, least=0)
    check_memory("ranova", f"{draws} draws", 16.0 * draws, model.control.memory_bytes)
    rng = generator(seed)
    check_likelihood(model, "ranova")
    out: list[tuple[Any, ...]] = [("<none>", model.df, model.loglik, model.aic, *[np.nan] * 5, "")]
    for reduction in random_reductions(model.terms, model.frame.spec.bar_designs, model.frame.formula.bars):
        value = refitted_criterion(model, reduction.label, model.frame.X, reduction.terms, model.is_reml)
        left = sum(term.structure.n_theta for term in reduction.terms)
        test = likelihood_ratio(value - model.criterion, len(model.objective.theta_names) - left, reduction.variances)
        less = model.df - test.df
        row = (reduction.label, less, -0.5 * value, value + 2.0 * less, test.statistic, float(test.df))
        simulated, reference = np.nan, test.reference
        if draws and reduction.component is not None:
            found = simulated_ratio(model.objective, reduction.component, test.statistic, draws, rng)
            simulated, reference = found.p_value, f"{reference}; {found.reference}"
        out.append((*row, test.p_value, test.p_mixture, simulated, reference))
    columns = ["term", "npar", "logLik", "AIC", "LRT", "Df", "p_value", "p_mixture", "p_simulated", "reference"]
    table = pd.DataFrame(out, columns=columns)
    return to_library(table if draws else table.drop(columns="p_simulated"), model.frame.library)
