"""Covariance of the random effects of one level: parameters, template λ, local coordinates."""

from __future__ import annotations

from lmmsparse.covariance.scaled import (
    CompoundSymmetry,
    Diagonal,
    HomogeneousCompoundSymmetry,
    HomogeneousDiagonal,
)
from lmmsparse.covariance.structure import Covariance
from lmmsparse.covariance.unstructured import Unstructured

# What formulas call the structures: ``(x | g)`` is ``us(x | g)``, ``(x || g)`` is ``diag(x | g)``.
STRUCTURES: dict[str, type[Covariance]] = {
    one.keyword: one
    for one in (Unstructured, Diagonal, HomogeneousDiagonal, CompoundSymmetry, HomogeneousCompoundSymmetry)
}

__all__ = [
    "STRUCTURES",
    "CompoundSymmetry",
    "Covariance",
    "Diagonal",
    "HomogeneousCompoundSymmetry",
    "HomogeneousDiagonal",
    "Unstructured",
]
