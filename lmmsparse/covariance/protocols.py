"""What a structure says of itself, and the coordinates of its parameters: for searches, and for profiles."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from enum import Enum

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Mask = NDArray[np.bool_]


class Keeps(Enum):
    """Maps C → C L of a term's columns after which the family of covariances is still the family."""

    TRIANGULAR = "any lower triangular L"
    SCALES = "a number for each column"
    SCALE = "one number for all columns"


@dataclass(frozen=True)
class Quantity:
    """A standard deviation or correlation that a structure has as a parameter.

    Attributes
    ----------
    kind : {"sd", "cor"}
    effects : tuple of int
        Its effect, or its two effects, the later one first; all of them when it is common to all.
    common : bool
    """

    kind: str
    effects: tuple[int, ...]
    common: bool = False


@dataclass(frozen=True)
class Empty:
    """What a covariance matrix on the boundary of its family lacks.

    Attributes
    ----------
    name : str
        Column, ``"direction 1"`` of several, or the parameter that is at its end.
    move : (n_theta,) or (k,) array
        Where the structure goes to leave the boundary; only the structure reads it.
    score : float
        Derivative of the criterion inwards: with respect to the variance of the direction, or to the parameter.
    scale : float
        Of such derivatives of this term.
    """

    name: str
    move: Float
    score: float
    scale: float


class Frame(ABC):
    """Coordinates E (…, n_theta) of one term, zero at the θ around which they are."""

    @property
    @abstractmethod
    def smallest(self) -> Float:
        """How far the θ is from the boundary, as a standard deviation, (…)."""

    @abstractmethod
    def theta(self, step: Float) -> Float:
        """θ at E = step, canonical."""

    @abstractmethod
    def seen_from_here(self, theta: Float, score: Float) -> tuple[Float, Float]:
        """E of another θ, and ∂d/∂E there from its score ∂d/∂Σ."""

    @abstractmethod
    def derivatives(self, score: Float) -> tuple[Float, Float, Float]:
        """At E = 0: ∂d/∂E, ∂Σ/∂E on the support (…, s, n_theta), and Σ_ab T_ab ∂²Σ_ab/∂E²."""

    @abstractmethod
    def taken(self, where: Mask) -> Frame:
        """Some of the stacked frames."""


class TermCoordinates(ABC):
    """Coordinates z of a term, and c of what is held.

    Attributes
    ----------
    start : (m,) array
        z at the θ that they were made of.
    scale : (m,) array
        Their units.
    least : (m,) array
        Sizes below which a coordinate says little, because the derivative of the criterion vanishes at zero.
    positive : (m,) array of bool
        Coordinates that must not be negative.
    c, c_scale : float
        What is held: a standard deviation over σ, or the arc sine of a correlation; and its unit.
    undefined : bool
        What is held has no value: the correlation with an effect that has no variance.
    """

    start: Float
    scale: Float
    least: Float
    positive: NDArray[np.bool_]
    c: float = 0.0
    c_scale: float = 1.0
    undefined: bool = False

    def lifted(self, z: Float) -> Float:
        """z with nothing where the derivative of the criterion would say nothing."""
        small = np.abs(z) < self.least
        return np.where(small, np.where(z < 0, -self.least, self.least), z) if small.any() else z

    @abstractmethod
    def theta(self, z: Float, c: float) -> Float:
        """θ of the term."""

    @abstractmethod
    def gradient(self, z: Float, c: float, score: Float) -> tuple[Float, float]:
        """Derivatives with respect to z and c from the score ∂d/∂Σ."""
