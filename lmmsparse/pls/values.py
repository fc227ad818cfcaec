"""Numbers in the layout of a plan: the blocks of ZᵀWZ, and those of M(θ) = ΛᵀZᵀWZΛ + I."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from lmmsparse.crossproducts.blocks import CrossProducts, Factors
from lmmsparse.kernels import leaves as kernels
from lmmsparse.pls.plan import PeeledBlock, Plan

Float = NDArray[np.float64]


@dataclass(frozen=True)
class Values:
    """The blocks of ZᵀWZ in the layout of a plan.

    Attributes
    ----------
    diagonal : tuple of (q_g, K_g, K_g) arrays
        By factor.
    parents : tuple of dicts
        By position in `Plan.peeled`: position of a factor peeled later → (q, K_parent, K).
    entries : tuple of (m, K) arrays
        By position in `Plan.peeled`.
    core_pairs : dict
        Two factors of the core, first < second in their order → (m, K_g, K_h) on the pairs of `Core.links`.
    """

    diagonal: tuple[Float, ...]
    parents: tuple[dict[int, Float], ...]
    entries: tuple[Float, ...]
    core_pairs: dict[Factors, Float]


def lay_out(plan: Plan, products: CrossProducts) -> Values:
    """Write cross-products down in the layout of a plan: copies, nothing is searched or sorted.

    Parameters
    ----------
    plan : Plan
    products : CrossProducts
        On the pattern of the plan.
    """
    if not products.pattern.same(plan.pattern):
        raise ValueError("these cross-products are on another pattern than the plan")

    def stored(g: int, h: int) -> Float:
        return products.coupling[min(g, h), max(g, h)]

    parents, entries = [], []
    for part in plan.peeled:
        g, values = part.block, np.empty((len(part.rows), part.size))
        for h, link, start in zip(plan.core.blocks, part.core_links, part.starts, strict=True):
            blocks = link.values(stored(g, h))
            for a in range(blocks.shape[2]):
                values[start + a] = blocks[:, :, a]
        entries.append(values)
        by_parent = {j: (plan.peeled[j].block, link) for j, link in part.parent_links.items()}
        parents.append(
            {
                j: np.ascontiguousarray(link.values(stored(g, h)).transpose(0, 2, 1))
                for j, (h, link) in by_parent.items()
            }
        )
    core_pairs = {(g, h): link.values(stored(g, h)) for (g, h), link in plan.core.links.items()}
    return Values(products.diagonal, tuple(parents), tuple(entries), core_pairs)


def core_values(plan: Plan, values: Values, templates: list[Float]) -> Float:
    """ΛᵀZᵀWZΛ + I on the core's own entries, in the order of `Core.places`.

    Parameters
    ----------
    templates : list of (K, K) arrays
        λ of every factor.
    """
    from_blocks = [np.zeros(0)]
    for h in plan.core.blocks:
        a, b = np.tril_indices(len(templates[h]))
        scaled = transformed(templates[h], values.diagonal[h], templates[h], 1.0)
        from_blocks.append(scaled[:, a, b].ravel())
    for (g, h), blocks in values.core_pairs.items():
        from_blocks.append(transformed(templates[g], blocks, templates[h]).ravel())
    return np.concatenate(from_blocks)


def transformed(left: Float, blocks: Float, right: Float, shift: float = 0.0) -> Float:
    """leftᵀ B right + shift I for every block B, (m, K_left, K_right)."""
    out = np.empty_like(blocks)
    kernels.transform_blocks(np.ascontiguousarray(left), blocks, np.ascontiguousarray(right), shift, out)
    return out


def scaled_entries(plan: Plan, part: PeeledBlock, values: Float, templates: list[Float]) -> Float:
    """Couplings of leaves to the core in M: Λ_coreᵀ A λ on the entries, (m, K)."""
    core = plan.core
    sizes = np.array([len(templates[h]) for h in core.blocks], dtype=np.int32)
    padded = np.zeros((len(sizes), sizes.max(initial=1), sizes.max(initial=1)))
    for position, h in enumerate(core.blocks):
        padded[position, : sizes[position], : sizes[position]] = templates[h]
    out = np.empty_like(values)
    own = np.ascontiguousarray(templates[part.block])
    kernels.scale_entries(values, part.rows, core.level_start, core.owner, sizes, padded, own, out)
    return out
