"""Kernels of the peel: elimination, solves and selected inverse of block-diagonal leading blocks.

Array-only functions.  A leaf is one level ℓ of a peeled grouping factor with its K × K block of
M(θ) = ΛᵀZᵀWZΛ + I.  It is coupled to one level of every factor peeled after it (its parent there, dense
K_parent × K blocks) and to any number of rows of the core (entries: a compressed column per leaf, K values each).
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]


def scale_diagonal(blocks: Float, template: Float) -> Float:
    """λᵀ A_ℓ λ + I for every level: (q, K, K) from (q, K, K) and λ (K, K)."""
    if template.size == 1:
        return template[0, 0] ** 2 * blocks + 1.0
    scaled = template.T @ blocks @ template
    scaled += np.eye(len(template))
    return np.asarray(scaled)


def factor_leaves(diagonal: Float) -> tuple[Float, Float]:
    """Cholesky factors l_ℓ of the leaf blocks and their inverses, both (q, K, K)."""
    if diagonal.shape[1] == 1:
        l = np.asarray(np.sqrt(diagonal))
        return l, 1.0 / l
    l = np.asarray(np.linalg.cholesky(diagonal))
    return l, np.asarray(np.linalg.inv(l))


def scale_entries(values: Float, leaf: Index, l_inverse: Float) -> Float:
    """w = B l⁻ᵀ on the entries: (m, K) from couplings B (m, K), their leaves (m,) and l⁻¹ (q, K, K)."""
    if values.shape[1] == 1:
        return values * l_inverse[leaf, :, 0]
    return np.asarray(np.matmul(l_inverse[leaf], values[:, :, None])[:, :, 0])


def scale_parents(values: Float, l_inverse: Float) -> Float:
    """w = B l⁻ᵀ on parent blocks: (q, K_parent, K) from B (q, K_parent, K) and l⁻¹ (q, K, K)."""
    return np.asarray(values @ l_inverse.transpose(0, 2, 1))


def sum_by(index: Index, values: Float, size: int) -> Float:
    """Sums of values (m, …) over equal indices: (size, …)."""
    width = int(np.prod(values.shape[1:]))
    flat = values.reshape(len(values), width)
    sums = np.empty((size, width))
    for column in range(width):
        sums[:, column] = np.bincount(index, flat[:, column], size)
    return sums.reshape(size, *values.shape[1:])


def parent_diagonal_update(parent: Index, w: Float, n_parents: int) -> Float:
    """Σ_{ℓ: parent(ℓ) = m} w_ℓ w_ℓᵀ for every m: (n_parents, K_parent, K_parent)."""
    return sum_by(parent, w @ w.transpose(0, 2, 1), n_parents)


def parent_pair_update(parent: Index, w: Float, w_other: Float, n_parents: int) -> Float:
    """Σ_{ℓ: parent(ℓ) = m} w'_ℓ w_ℓᵀ, the update of the coupling of parent m to its own parent."""
    return sum_by(parent, w_other @ w.transpose(0, 2, 1), n_parents)


def parent_entry_update(target: Index, leaf: Index, w_entry: Float, w_parent: Float, size: int) -> Float:
    """Update of the parent's couplings to the core: Σ w_entry w_parentᵀ summed at their targets, (size, K_parent)."""
    if w_entry.shape[1] == 1:
        products = w_entry * w_parent[leaf, :, 0]
    else:
        products = np.matmul(w_parent[leaf], w_entry[:, :, None])[:, :, 0]
    return sum_by(target, products, size)


def gather_parent(target: Index, leaf: Index, inverse_entry: Float, w_parent: Float) -> Float:
    """C_{r,m} w_m at the entries (ℓ, r) of the leaves, m the parent of ℓ: (entries, K).

    Parameters
    ----------
    target, leaf : (entries,) arrays
        Where the parent stores its coupling to row r, and the leaf of each entry.
    inverse_entry : (parent entries, K_parent) array
        C on the parent's couplings to the core.
    w_parent : (q, K_parent, K) array
    """
    if w_parent.shape[1:] == (1, 1):
        return inverse_entry[target] * w_parent[leaf, :, 0]
    return np.asarray(np.matmul(inverse_entry[target][:, None, :], w_parent[leaf])[:, 0, :])


def gather_entries(target: Index, leaf: Index, inverse_entry: Float, w_entry: Float, n_leaves: int) -> Float:
    """Σ_r C_{m,r} w_r over the core rows of each leaf, m its parent: (q, K_parent, K)."""
    products = inverse_entry[target][:, :, None] * w_entry[:, None, :]
    return sum_by(leaf, products, n_leaves)


def inverse_diagonal(l_inverse: Float, wCw: Float) -> Float:
    """C_ℓℓ = l⁻ᵀ (I + wᵀ C w) l⁻¹: (q, K, K)."""
    if l_inverse.shape[1] == 1:
        return l_inverse**2 * (1.0 + wCw)
    return np.asarray(l_inverse.transpose(0, 2, 1) @ (np.eye(l_inverse.shape[1]) + wCw) @ l_inverse)


def inverse_entries(Cw: Float, leaf: Index, l_inverse: Float) -> Float:
    """C_{r,ℓ} = −(C w) l⁻¹ on the entries: (m, K)."""
    if Cw.shape[1] == 1:
        return -Cw * l_inverse[leaf, :, 0]
    return -np.asarray(np.matmul(Cw[:, None, :], l_inverse[leaf])[:, 0, :])


def entry_products(leaf: Index, w: Float, Cw: Float, n_leaves: int) -> Float:
    """wᵀ(C w) over the core rows of each leaf: (q, K, K)."""
    if w.shape[1] == 1:
        return sum_by(leaf, (w * Cw)[:, :, None], n_leaves)
    return sum_by(leaf, w[:, :, None] * Cw[:, None, :], n_leaves)
