"""What a family of distributions answers."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass, field
from typing import ClassVar

import numpy as np
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError
from lmmsparse.family.links import LINKS, Link
from lmmsparse.family.rows import Rows, fisher, through

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]
Three = tuple[Float, Float, Float]
Four = tuple[Float, Float, Float, Float]


@dataclass(frozen=True)
class Family(ABC):
    """A distribution of the exponential dispersion family: E y = μ = g⁻¹(η), Var y = φ V(μ)/w.

    Parameters
    ----------
    link : str, optional
        The first of `links` unless it is named.

    Attributes
    ----------
    links : tuple of str
        What ``link`` can be, the default first.
    has_dispersion : bool
        Whether φ is estimated; else it is 1.
    """

    link: str = ""
    name: ClassVar[str] = ""
    links: ClassVar[tuple[str, ...]] = ()
    has_dispersion: ClassVar[bool] = False
    g: Link = field(init=False, repr=False, compare=False)

    def __post_init__(self) -> None:
        given = str(self.link) if isinstance(self.link, str) else f"a {type(self.link).__name__}"
        word = given or self.links[0]
        if word not in self.links:
            known = ", ".join(map(repr, self.links))
            raise ArgumentError(f"the family {self.name} has the links {known}, got {given[:80]!r}")
        object.__setattr__(self, "link", word)
        object.__setattr__(self, "g", LINKS[word])

    @abstractmethod
    def deviance(self, y: Float, mu: Float) -> Float:
        """Unit deviance d(y, μ), (n,)."""

    @abstractmethod
    def variance(self, mu: Float) -> Three:
        """V(μ) and its first two derivatives."""

    @abstractmethod
    def by_eta(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """Unit deviance, derivatives of −d/2 by η, and the expected weight with two derivatives."""

    @abstractmethod
    def saturated(self, y: Float, w: Float, phi: float) -> float:
        """c(y, φ) = −2 log f(y; μ = y, φ/w), summed over the rows."""

    def dispersion(self, y: Float, w: Float, penalized: float) -> float:
        """The φ that minimizes F/φ + c(y, φ) for F = D + ‖u‖²; 1 where none is estimated."""
        return penalized / len(y) if self.has_dispersion else 1.0

    @abstractmethod
    def possible(self, y: Float) -> Mask:
        """Which responses the distribution can have."""

    @abstractmethod
    def first_mean(self, y: Float, w: Float) -> Float:
        """Means near the response and inside the range of every link, where iterations can begin."""

    def has_mean(self, eta: Float, mu: Float) -> Mask:
        """Whether η leads to a mean that the distribution can have."""
        return self.g.inside(eta) & np.isfinite(mu)

    def rows(self, y: Float, w: Float, eta: Float) -> Rows:
        """The log-likelihood of every row and its derivatives.

        Parameters
        ----------
        y, w, eta : (n,) arrays
            Response, prior weights and linear predictor.

        Examples
        --------
        >>> from lmmsparse.family import Poisson
        >>> rows = Poisson().rows(np.array([2.0]), np.ones(1), np.zeros(1))
        >>> rows.score.tolist(), rows.observed[0].tolist()
        ([1.0], [1.0])
        """
        with np.errstate(all="ignore"):  # outside of its range a row is marked by its deviance
            inside = self.has_mean(eta, self.g.mean(eta)[0])
            deviance, (first, second, third, fourth), (v, v1, v2) = self.by_eta(y, eta)
            deviance = np.where(inside, w * deviance, np.inf)
        return Rows(deviance, w * first, (-w * second, -w * third, -w * fourth), (w * v, w * v1, w * v2))


class FamilyOfMeans(Family):
    """A family whose rows are functions of the mean: of powers of it, or with the logarithmic link of e^η."""

    @abstractmethod
    def slopes(self, y: Float, mu: Float) -> Four:
        """The first four derivatives of −d(y, μ)/2 by μ."""

    @abstractmethod
    def by_log(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """`by_eta` with μ = e^η.

        In powers of μ of the smallest degree: those of a quotient leave the range of numbers before these do.
        """

    def by_eta(self, y: Float, eta: Float) -> tuple[Float, Four, Three]:
        """As `Family.by_eta`."""
        if self.link == "log":
            return self.by_log(y, eta)
        mu = self.g.mean(eta)
        return self.deviance(y, mu[0]), through(self.slopes(y, mu[0]), mu), fisher(self.variance(mu[0]), mu)
