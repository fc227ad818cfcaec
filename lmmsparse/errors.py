"""Every error and warning of the library, in one flat list.

Errors derive from `LmmError`, itself a ``ValueError``, so that both ``except LmmError`` and the
``except ValueError`` of existing code catch them.  Warnings derive from `LmmWarning`.
"""

from __future__ import annotations


class LmmError(ValueError):
    """Base class of all errors raised by lmmsparse."""


class FormulaError(LmmError):
    """The formula cannot be read; the message quotes it and points at the place."""


class DataError(LmmError):
    """A column, weight, offset or subset cannot be used; the message names it."""


class GroupingError(LmmError):
    """A grouping factor or random-effect term cannot be fitted with these data."""


class ArgumentError(LmmError):
    """An argument of a public function has a wrong type, length or value."""


class NewDataError(LmmError):
    """New data lack a column, or hold a level that the fit has not seen."""


class MemoryLimitError(LmmError, MemoryError):
    """The planned factorization would not fit into memory; the message states the bytes."""


class MissingDependencyError(LmmError, ImportError):
    """An optional package is needed; the message says how to install it."""


class FactorizationError(LmmError, ArithmeticError):
    """A matrix that theory says is positive definite could not be factored."""


class LmmWarning(UserWarning):
    """Base class of all warnings issued by lmmsparse."""


class SingularFitWarning(LmmWarning):
    """A variance is estimated as zero, or a covariance matrix as rank deficient."""


class ConvergenceWarning(LmmWarning):
    """The optimizer stopped before its certificate of convergence held."""


class SeveralMinimaWarning(ConvergenceWarning):
    """The criterion has several minima, and there may be one that is lower than that of the fit."""


class RoundingWarning(LmmWarning):
    """A nearly perfect fit has lost digits; the message says how many are left."""


class RankDeficiencyWarning(LmmWarning):
    """Columns of the fixed-effect model matrix were dropped because others span them."""


class IdentifiabilityWarning(LmmWarning):
    """The data cannot tell some variance parameters apart."""


class EstimabilityWarning(LmmWarning):
    """Means of new rows cannot be told by the fit: combinations of levels without observations, and the like."""


class PerfectFitWarning(LmmWarning):
    """The residual variance is zero to machine precision."""


class NoFixedEffectsWarning(LmmWarning):
    """REML was asked for in a model without fixed effects, where it is ML."""


class MissingRowsWarning(LmmWarning):
    """A transform produced missing values, and those rows were dropped."""


class NestingWarning(LmmWarning):
    """A likelihood-ratio test between models neither of which contains the other."""
