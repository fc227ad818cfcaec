"""The stages of a fit, each a function of its own, in the order in which `lmmsparse.lmer` calls them.

Examples
--------
>>> from lmmsparse import load_dataset
>>> from lmmsparse.modular import build_model_frame, fit, make_objective, parse_formula, random_terms

A formula is read, and evaluated on the rows of the data that take part:

>>> formula = parse_formula("Reaction ~ Days + (Days | Subject)")
>>> frame = build_model_frame(formula, load_dataset("sleepstudy"))

Its bars become random-effect terms, and all of it a function of their parameters θ:

>>> terms = random_terms(frame)
>>> objective = make_objective(frame.y_less_offset, frame.X, terms, weights=frame.weights)
>>> objective.theta_names
('Subject.(Intercept)', 'Subject.Days.(Intercept)', 'Subject.Days')
>>> round(objective([1.0, 0.0, 1.0]), 3)
1773.68

That is minimised:

>>> estimates, info = fit(objective)
>>> round(estimates.criterion, 4), info.message
(1743.6283, 'converged')
"""

from lmmsparse.design.terms import random_terms
from lmmsparse.estimation.fit import fit
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame
from lmmsparse.objective.linear import make_objective

__all__ = ["build_model_frame", "fit", "make_objective", "parse_formula", "random_terms"]
