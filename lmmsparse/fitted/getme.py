"""``getme``: the parts of a fitted model under lme4's names."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.typing import NDArray
from scipy.sparse import block_diag, csc_array, csr_array, hstack

from lmmsparse.arguments import as_text, shown
from lmmsparse.design.terms import RandomTerm
from lmmsparse.errors import ArgumentError
from lmmsparse.fitted.model import FittedModel

Float = NDArray[np.float64]


def random_matrix(terms: tuple[RandomTerm, ...]) -> csc_array:
    """Z as a sparse (n, q) matrix, level after level within a term: on request only, the engine never forms it."""
    blocks = []
    for term in terms:
        n, k = term.columns.shape
        columns = term.codes.astype(np.int64)[:, None] * k + np.arange(k)
        indptr = np.arange(0, n * k + 1, k)
        values = np.ascontiguousarray(term.columns).ravel()
        blocks.append(csr_array((values, columns.ravel(), indptr), shape=(n, term.n_levels * k)))
    return csc_array(hstack(blocks, format="csc"))


def relative_factor(terms: tuple[RandomTerm, ...], templates: tuple[Float, ...]) -> csc_array:
    """Λ as a sparse (q, q) matrix: λ_t once for every level of term t."""
    blocks = [
        block_diag([csc_array(lam)] * term.n_levels, format="csc") for term, lam in zip(terms, templates, strict=True)
    ]
    return csc_array(block_diag(blocks, format="csc"))


def _scales_and_triangle(lam: Float) -> Float:
    """λ = T S with a unit lower triangular T and a diagonal S: S on the diagonal, T below; zeros where S is zero."""
    scales = np.diagonal(lam)
    out = np.divide(lam, scales, out=np.zeros_like(lam), where=scales != 0.0)
    np.fill_diagonal(out, scales)
    return out


def _flat(vectors: tuple[Float, ...]) -> Float:
    return np.concatenate([v.ravel() for v in vectors])


def _fixed_factor(model: FittedModel) -> Float:
    found = model.estimates
    return np.asarray(np.linalg.cholesky(np.linalg.inv(found.unit_covariance)).T * (found.sigma / found.beta_units))


GETTERS: dict[str, Callable[[FittedModel], Any]] = {
    "X": lambda m: m.frame.X.copy(),
    "Z": lambda m: random_matrix(m.terms),
    "Zt": lambda m: csc_array(random_matrix(m.terms).T),
    "y": lambda m: m.frame.y.copy(),
    "mu": lambda m: (
        m.frame.X @ m.estimates.beta
        + random_matrix(m.terms) @ _flat(m.estimates.b)
        + (0.0 if m.frame.offset is None else m.frame.offset)
    ),
    "offset": lambda m: np.zeros(len(m.frame.y)) if m.frame.offset is None else m.frame.offset.copy(),
    "weights": lambda m: np.ones(len(m.frame.y)) if m.frame.weights is None else m.frame.weights.copy(),
    "theta": lambda m: m.estimates.theta.copy(),
    "beta": lambda m: m.estimates.beta.copy(),
    "fixef": lambda m: m.estimates.beta.copy(),
    "sigma": lambda m: m.estimates.sigma,
    "u": lambda m: _flat(m.estimates.u),
    "b": lambda m: _flat(m.estimates.b),
    "Lambda": lambda m: relative_factor(m.terms, m.estimates.templates),
    "Lambdat": lambda m: csc_array(relative_factor(m.terms, m.estimates.templates).T),
    "RX": _fixed_factor,
    "lower": lambda m: m.objective.bounds()[0],
    "is_REML": lambda m: m.objective.reml,
    "n": lambda m: len(m.frame.y),
    "p": lambda m: m.frame.X.shape[1],
    "q": lambda m: sum(u.size for u in m.estimates.u),
    "p_i": lambda m: [len(t.names) for t in m.terms],
    "l_i": lambda m: [t.n_levels for t in m.terms],
    "q_i": lambda m: [t.n_levels * len(t.names) for t in m.terms],
    "k": lambda m: len(m.terms),
    "m": lambda m: len(m.objective.theta_names),
    "m_i": lambda m: [t.structure.n_theta for t in m.terms],
    "cnms": lambda m: [(t.group, list(t.names)) for t in m.terms],
    "Gp": lambda m: np.concatenate([[0], np.cumsum([u.size for u in m.estimates.u])]),
    "flist": lambda m: {name: g.levels.to_numpy()[g.codes] for name, g in m.frame.groupings.items()},
    "theta_names": lambda m: list(m.objective.theta_names),
    "fixef_names": lambda m: list(m.frame.fixed_names),
    "ST": lambda m: [_scales_and_triangle(lam) for lam in m.estimates.templates],
    "REML": lambda m: m.frame.X.shape[1] if m.objective.reml else 0,
    "devcomp": lambda m: {
        "pwrss": m.estimates.pwrss,
        "wrss": m.estimates.pwrss - float((_flat(m.estimates.u) ** 2).sum()),
        "ussq": float((_flat(m.estimates.u) ** 2).sum()),
        "ldL2": m.estimates.point.solution.logdet,
        "sigma": m.estimates.sigma,
        "cmp": m.estimates.criterion,
    },
}


def getme(model: FittedModel, name: str) -> Any:
    """A part of the model by lme4's name: ``X``, ``Z``, ``theta``, ``u``, ``b``, ``Lambda``, ``RX``, ``cnms`` ….

    Parameters
    ----------
    name : str

    Raises
    ------
    ArgumentError
        There is no such part; the message lists them.

    Examples
    --------
    >>> from lmmsparse import lmer, load_dataset
    >>> m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy"))
    >>> m.getme("cnms")
    [('Subject', ['(Intercept)', 'Days'])]
    """
    known = as_text(name)
    if known is None or known not in GETTERS:
        raise ArgumentError(f"getme: unknown name {shown(name)}; there are {', '.join(sorted(GETTERS))}")
    return GETTERS[known](model)
