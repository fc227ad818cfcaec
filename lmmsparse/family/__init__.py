"""Families of distributions and their links: what a row of a generalized model contributes, as functions of arrays."""

from __future__ import annotations

from lmmsparse.family.base import Family
from lmmsparse.family.binomial import Binomial
from lmmsparse.family.families import Gamma, Gaussian, InverseGaussian, NegativeBinomial, Poisson
from lmmsparse.family.links import LINKS, Link
from lmmsparse.family.rows import Rows

__all__ = [
    "LINKS",
    "Binomial",
    "Family",
    "Gamma",
    "Gaussian",
    "InverseGaussian",
    "Link",
    "NegativeBinomial",
    "Poisson",
    "Rows",
]
