"""NumPy twins of the kernels of leaves, of vectors and of a dense core: same arguments, same arrays written to."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np
from numpy.testing import assert_allclose
from numpy.typing import NDArray

Float = NDArray[np.float64]
Index = NDArray[np.int32]
Pointer = NDArray[np.int64]


def assert_alike(
    kernel: Callable[..., Any], twin: Callable[..., Any], *arguments: Any, out: tuple[int, ...] = (-1,)
) -> Any:
    """Both do the same; arguments other than those at ``out`` may be read-only. Returns what the kernel returns."""
    written = [i % len(arguments) for i in out]
    ours, theirs = ([np.array(a, order="K") if isinstance(a, np.ndarray) else a for a in arguments] for _ in range(2))
    for i, argument in enumerate(ours):
        if isinstance(argument, np.ndarray) and i not in written:
            argument.flags.writeable = False
    result = kernel(*ours)
    assert result == twin(*theirs)
    for i in written:
        assert_allclose(ours[i], theirs[i], rtol=1e-12, atol=1e-12)
    return result


def owners(indptr: Pointer) -> Pointer:
    """Leaf of every entry."""
    return np.repeat(np.arange(len(indptr) - 1), np.diff(indptr))


# -- leaves ----------------------------------------------------------------------------------------------------


def transform_blocks(left: Float, blocks: Float, right: Float, shift: float, out: Float) -> None:
    out[:] = left.T @ blocks @ right + shift * np.eye(*blocks.shape[1:])


def factor_blocks(blocks: Float, l: Float, l_inverse: Float) -> int:
    for i, block in enumerate(blocks):
        try:
            l[i] = np.linalg.cholesky(block)
        except np.linalg.LinAlgError:
            return i
        l_inverse[i] = np.linalg.inv(l[i])
    return -1


def scale_entries(
    values: Float,
    rows: Index,
    level_start: Index,
    owner: Index,
    sizes: Index,
    templates: Float,
    own: Float,
    out: Float,
) -> None:
    Lambda = np.zeros((len(owner), len(owner)))
    for start in np.unique(level_start):
        here = slice(start, start + sizes[owner[start]])
        Lambda[here, here] = templates[owner[start], : sizes[owner[start]], : sizes[owner[start]]]
    e = 0
    while e < len(rows):
        here = slice(e, e + sizes[owner[rows[e]]])
        out[here] = Lambda[np.ix_(rows[here], rows[here])].T @ values[here] @ own
        e = here.stop


def multiply_rows(values: Float, indptr: Pointer, blocks: Float, transposed: bool, sign: float, out: Float) -> None:
    by_entry = (blocks.transpose(0, 2, 1) if transposed else blocks)[owners(indptr)]
    out[:] = sign * np.einsum("ea,eab->eb", values, by_entry)


def subtract_parent_products(parent: Index, left: Float, right: Float, out: Float) -> None:
    np.subtract.at(out, parent, left @ right.transpose(0, 2, 1))


def subtract_parent_entries(indptr: Pointer, target: Index, w: Float, w_parent: Float, out: Float) -> None:
    np.subtract.at(out, target, np.einsum("eab,eb->ea", w_parent[owners(indptr)], w))


def add_from_parent(indptr: Pointer, target: Index, inverse: Float, w_parent: Float, out: Float) -> None:
    out += np.einsum("ea,eab->eb", inverse[target], w_parent[owners(indptr)])


def add_from_entries(indptr: Pointer, target: Index, inverse: Float, w: Float, out: Float) -> None:
    np.add.at(out, owners(indptr), inverse[target][:, :, None] * w[:, None, :])


def add_entry_products(indptr: Pointer, left: Float, right: Float, out: Float) -> None:
    np.add.at(out, owners(indptr), left[:, :, None] * right[:, None, :])


def inverse_blocks(l_inverse: Float, wCw: Float, out: Float) -> None:
    out[:] = l_inverse.transpose(0, 2, 1) @ (np.eye(l_inverse.shape[1]) + wCw) @ l_inverse


# -- vectors ---------------------------------------------------------------------------------------------------


def blocks_times(blocks: Float, x: Float, transposed: bool, out: Float) -> None:
    out[:] = (blocks.transpose(0, 2, 1) if transposed else blocks) @ x


def add_to_core(indptr: Pointer, rows: Index, w: Float, x: Float, sign: float, core: Float) -> None:
    np.add.at(core, rows, sign * np.einsum("ea,eac->ec", w, x[owners(indptr)]))


def add_from_core(indptr: Pointer, rows: Index, w: Float, core: Float, sign: float, x: Float) -> None:
    np.add.at(x, owners(indptr), sign * w[:, :, None] * core[rows][:, None, :])


def add_pairs(first: Index, second: Index, values: Float, x: Float, sign: float, out: Float) -> None:
    np.add.at(out, first, sign * values @ x[second])


def add_pairs_transposed(first: Index, second: Index, values: Float, x: Float, sign: float, out: Float) -> None:
    np.add.at(out, second, sign * values.transpose(0, 2, 1) @ x[first])


# -- a dense core ----------------------------------------------------------------------------------------------


def whole_couplings(n: int, indptr: Pointer, rows: Index, w: Float) -> Float:
    """The couplings as one dense array (leaves, n, K)."""
    W = np.zeros((len(indptr) - 1, n, w.shape[1]))
    W[owners(indptr), rows] = w
    return W


def lower(matrix: Float) -> Float:
    """The symmetric matrix whose lower triangle the first n columns hold."""
    return np.tril(matrix[:, :-1]) + np.tril(matrix[:, :-1], -1).T


def upper(matrix: Float) -> Float:
    """The symmetric matrix whose upper triangle the last n columns hold."""
    return np.triu(matrix[:, 1:]) + np.triu(matrix[:, 1:], 1).T


def subtract_outer_products(matrix: Float, indptr: Pointer, rows: Index, w: Float, edges: Pointer) -> None:
    W, here = whole_couplings(len(matrix), indptr, rows, w), slice(edges[0], edges[-1])
    matrix[:, here] -= np.tril(np.einsum("lia,lja->ij", W, W))[:, here]


def quadratic_forms(matrix: Float, indptr: Pointer, rows: Index, w: Float, edges: Pointer, out: Float) -> None:
    W, C = whole_couplings(len(matrix), indptr, rows, w), np.triu(matrix[:, 1:])
    C[:, : edges[0]] = C[:, edges[-1] :] = 0.0
    out += np.einsum("lia,ij,ljb->lab", W, C + np.triu(C, 1).T, W)


def times_inverse(matrix: Float, indptr: Pointer, rows: Index, w: Float, out: Float) -> None:
    W = whole_couplings(len(matrix), indptr, rows, w)
    out[:] = np.einsum("ij,lja->lia", upper(matrix), W)[owners(indptr), rows]
