"""What holds for every structure, against formulas written out and differences; and templates of a covariance."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from numpy.testing import assert_allclose, assert_array_equal

from lmmsparse.covariance import STRUCTURES, Covariance
from lmmsparse.covariance.protocols import Keeps
from lmmsparse.covariance.structure import canonical_template, raised
from lmmsparse.errors import ArgumentError
from tests.designs import Float, generated, random_theta
from tests.oracle import KEYWORDS, covariance, covariance_bends, covariance_slopes, parameter_count, template

# keyword, columns and a seed
STRUCTURE = st.tuples(st.sampled_from(KEYWORDS), st.integers(1, 4), st.integers(0, 1000))
Drawn = tuple[str, int, int]


def made(drawn: Drawn, *, boundary: bool = False) -> tuple[Covariance, Float, np.random.Generator]:
    """A structure, a θ, and more randomness."""
    keyword, k, seed = drawn
    rng = np.random.default_rng(seed)
    return STRUCTURES[keyword](k), random_theta(keyword, k, rng, boundary=boundary), rng


def score_of(k: int, rng: np.random.Generator) -> Float:
    """A symmetric matrix T: the derivative of the criterion tr(TΣ)."""
    T = rng.normal(size=(k, k))
    return T + T.T


def sigma_of(structure: Covariance, theta: Float) -> Float:
    lam = structure.template(theta)
    return np.asarray(lam @ np.swapaxes(lam, -1, -2))


def test_the_oracle_knows_every_structure() -> None:
    assert tuple(STRUCTURES) == KEYWORDS
    assert all(kind.keyword == keyword for keyword, kind in STRUCTURES.items())


@generated
@given(STRUCTURE, st.booleans())
def test_the_template_is_a_root_of_the_covariance(drawn: Drawn, boundary: bool) -> None:
    (keyword, k, _), (structure, theta, _) = drawn, made(drawn, boundary=boundary)
    lam = structure.template(theta)
    assert_array_equal(lam, np.tril(lam))
    assert_allclose(lam @ lam.T, covariance(keyword, k, theta), atol=1e-14)
    assert_allclose(lam, template(keyword, k, theta), atol=1e-7)  # the last pivot of a singular one is a root of zero


@generated
@given(STRUCTURE)
def test_numbers_of_parameters_and_names(drawn: Drawn) -> None:
    (keyword, k, _), (structure, theta, _) = drawn, made(drawn)
    assert structure.n_theta == parameter_count(keyword, k) == len(theta)
    columns = [f"c{i}" for i in range(k)]
    assert len(set(structure.names("g", columns))) == structure.n_theta
    assert all(name.startswith("g.") for name in structure.names("g", columns))
    low, high = structure.bounds()
    assert len(low) == len(high) == len(structure.quantities) == structure.n_theta
    assert (low < high).all()


@generated
@given(STRUCTURE)
def test_theta_of_a_template_is_its_own(drawn: Drawn) -> None:
    structure, theta, _ = made(drawn)
    assert_allclose(
        structure.theta(structure.template(theta)), structure.canonical(theta) if drawn[0] != "us" else theta
    )
    assert_allclose(structure.template(structure.start()), np.eye(drawn[1]), atol=1e-15)


@generated
@given(STRUCTURE)
def test_theta_of_any_template_is_one_of_the_family(drawn: Drawn) -> None:
    (_, k, _), (structure, _, rng) = drawn, made(drawn)
    theta = structure.theta(np.linalg.cholesky(np.cov(rng.normal(size=(k, 3 * k + 3)), ddof=0).reshape(k, k)))
    low, high = structure.bounds()
    assert (theta >= low).all() and (theta <= high).all()
    assert_allclose(structure.theta(structure.template(theta)), theta, rtol=1e-8, atol=1e-12)


@generated
@given(STRUCTURE, st.booleans())
def test_jacobian_curvature_and_gradient(drawn: Drawn, boundary: bool) -> None:
    """By exact formulas, and by central differences of the template itself."""
    (keyword, k, _), (structure, theta, rng) = drawn, made(drawn, boundary=boundary)
    (a, b), T = structure.support, score_of(k, rng)
    slopes, bends = covariance_slopes(keyword, k, theta), covariance_bends(keyword, k, theta)
    J, gradient = structure.jacobian(theta), [np.sum(T * slope) for slope in slopes]
    assert_allclose(J, np.column_stack([slope[a, b] for slope in slopes]), atol=1e-14)
    assert_allclose(structure.gradient(theta, T), gradient, atol=1e-13)
    expected = [[np.sum(T * bend) for bend in row] for row in bends]
    assert_allclose(structure.curvature(theta, T), expected, atol=1e-13)
    assert_allclose(np.einsum("s,si->i", structure.on_support(T), J), gradient, atol=1e-13)
    if not boundary:
        h = 1e-5
        for i, unit in enumerate(h * np.eye(len(theta))):
            difference = sigma_of(structure, theta + unit) - sigma_of(structure, theta - unit)
            assert_allclose(J[:, i], difference[a, b] / (2 * h), atol=1e-8)
            bend = (structure.gradient(theta + unit, T) - structure.gradient(theta - unit, T)) / (2 * h)
            assert_allclose(structure.curvature(theta, T)[i], bend, atol=1e-8)


@generated
@given(STRUCTURE)
def test_the_support_holds_every_entry_that_moves(drawn: Drawn) -> None:
    (keyword, k, _), (structure, theta, _) = drawn, made(drawn)
    a, b = structure.support
    assert (a >= b).all() and len(set(zip(a.tolist(), b.tolist(), strict=True))) == len(a)
    moved = np.any([slope != 0 for slope in covariance_slopes(keyword, k, theta)], axis=0)
    inside = np.zeros((k, k), dtype=bool)
    inside[a, b] = inside[b, a] = True
    assert (inside | ~moved).all()


@generated
@given(STRUCTURE)
def test_leading_axes_are_one_at_a_time(drawn: Drawn) -> None:
    (keyword, k, _), (structure, _, rng) = drawn, made(drawn)
    thetas = np.stack([[random_theta(keyword, k, rng, boundary=i == 1) for i in range(3)] for _ in range(2)])
    scores = np.stack([[score_of(k, rng) for _ in range(3)] for _ in range(2)])
    templates = structure.template(thetas)
    assert_array_equal(structure.theta(templates).shape, thetas.shape)
    both = {
        "template": (templates, structure.template),
        "jacobian": (structure.jacobian(thetas), structure.jacobian),
        "canonical": (structure.canonical(thetas), structure.canonical),
        "values": (structure.quantity_values(thetas)[0], lambda theta: structure.quantity_values(theta)[0]),
        "slopes": (structure.quantity_values(thetas)[1], lambda theta: structure.quantity_values(theta)[1]),
    }
    curvature, gradient = structure.curvature(thetas, scores), structure.gradient(thetas, scores)
    for i in np.ndindex(2, 3):
        for name, (together, alone) in both.items():
            assert_allclose(together[i], alone(thetas[i]), rtol=1e-12, atol=1e-14, err_msg=name)
        assert_allclose(structure.theta(templates)[i], structure.theta(templates[i]), rtol=1e-12, atol=1e-14)
        assert_allclose(curvature[i], structure.curvature(thetas[i], scores[i]), rtol=1e-12, atol=1e-14)
        assert_allclose(gradient[i], structure.gradient(thetas[i], scores[i]), rtol=1e-12, atol=1e-13)
        assert_allclose(structure.on_support(scores)[i], structure.on_support(scores[i]))
        assert_allclose(structure.spreads(templates)[i], structure.spreads(templates[i]), rtol=1e-12, atol=1e-14)


@generated
@given(STRUCTURE)
def test_the_unit_map_is_what_columns_do(drawn: Drawn) -> None:
    """C = C'L: the covariance L Σ Lᵀ of the effects of C' is in the family, and its θ is linear in that of Σ."""
    (_, k, _), (structure, theta, rng) = drawn, made(drawn)
    scales = np.exp(rng.normal(size=k))
    L = {
        Keeps.TRIANGULAR: np.tril(rng.normal(size=(k, k)), -1) + np.diag(scales),
        Keeps.SCALES: np.diag(scales),
        Keeps.SCALE: scales[0] * np.eye(k),
    }[structure.keeps]
    found = structure.unit_map(L) @ theta
    assert_allclose(sigma_of(structure, found), L @ sigma_of(structure, theta) @ L.T, rtol=1e-10, atol=1e-13)
    assert_allclose(structure.template(found), L @ structure.template(theta), rtol=1e-10, atol=1e-13)


@generated
@given(STRUCTURE, st.booleans())
def test_canonical_is_in_bounds_and_the_same_covariance(drawn: Drawn, boundary: bool) -> None:
    structure, theta, _ = made(drawn, boundary=boundary)
    found, (low, high) = structure.canonical(theta), structure.bounds()
    assert (found >= low).all() and (found <= high).all()
    assert_allclose(sigma_of(structure, found), sigma_of(structure, theta), atol=1e-13)
    assert_allclose(structure.canonical(found), found, atol=1e-14)


@generated
@given(STRUCTURE, st.floats(1e-6, 0.3))
def test_emptied_puts_on_the_boundary_what_is_near_it(drawn: Drawn, smallest: float) -> None:
    (keyword, _, _), (structure, theta, _) = drawn, made(drawn)
    near = structure.canonical(theta)
    assert structure.emptied(near, 1e-9) is near
    if keyword == "us":
        U, S, _ = np.linalg.svd(structure.template(near))
        S[-1] = 0.5 * smallest
        near = structure.theta(canonical_template(U * S))
    else:
        near[0] = 0.5 * smallest
    found, before = structure.emptied(near, smallest), sigma_of(structure, near)
    assert structure.spreads(structure.template(found))[-1] < 1e-12 * structure.spreads(structure.template(near))[0]
    assert_allclose(structure.canonical(found), found, atol=1e-14)
    # a standard deviation moves by no more than what was small
    assert np.abs(np.sqrt(np.diag(sigma_of(structure, found))) - np.sqrt(np.diag(before))).max() <= smallest
    again = structure.emptied(found, smallest)
    assert_allclose(again, found, atol=1e-12)


@generated
@given(STRUCTURE, st.booleans(), st.floats(1e-6, 0.3))
def test_lifted_leaves_no_direction_below(drawn: Drawn, boundary: bool, smallest: float) -> None:
    (keyword, _, _), (structure, theta, _) = drawn, made(drawn, boundary=boundary)
    theta = structure.canonical(theta)
    found, (low, high) = structure.lifted(theta, smallest), structure.bounds()
    assert (found >= low).all() and (found <= high).all()
    deviations = np.isinf(high) & (low == 0.0)
    if keyword == "us":
        assert structure.spreads(structure.template(found))[-1] >= smallest * (1 - 1e-9)
    else:
        assert (found[deviations] >= smallest).all()
        assert (found[~deviations] > low[~deviations]).all() and (found[~deviations] < high[~deviations]).all()
    assert_allclose(structure.lifted(found, smallest * (1 - 1e-6)), found, rtol=1e-12)
    # standard deviations move by no more than what is wanted, a correlation by its square
    before, after = (np.sqrt(np.diag(sigma_of(structure, one))) for one in (theta, found))
    assert np.abs(after - before).max() <= smallest * (1 + 1e-9)
    assert np.abs(found - theta)[~deviations].max(initial=0.0) <= 2 * smallest if keyword != "us" else True


@generated
@given(STRUCTURE)
def test_what_is_off_the_boundary_is_left_alone(drawn: Drawn) -> None:
    structure, theta, rng = made(drawn)
    theta = structure.canonical(theta)
    assert structure.lifted(theta, 1e-9) is theta
    assert structure.empty(theta, score_of(drawn[1], rng), [f"c{i}" for i in range(drawn[1])]) == []


@generated
@given(STRUCTURE)
def test_derivatives_inwards(drawn: Drawn) -> None:
    """Of tr(TΣ): with respect to a variance where that is even in its standard deviation, else to the parameter."""
    (keyword, k, _), (structure, theta, rng) = drawn, made(drawn, boundary=True)
    theta, T, columns = structure.canonical(theta), score_of(k, rng), [f"c{i}" for i in range(k)]
    found = structure.empty(theta, T, columns)
    assert len(found) <= structure.n_variances + 1
    base, h = sigma_of(structure, theta), 1e-6
    for one in found:
        assert one.scale == pytest.approx(np.abs(np.diag(T)).max())
        if keyword == "us":
            assert_allclose(structure.template(theta).T @ one.move, 0, atol=1e-7)
            assert one.score == pytest.approx(one.move @ T @ one.move, abs=1e-10)
            continue
        deviations, moves = np.isinf(structure.bounds()[1]), np.array(one.move)
        # what has nothing to correlate may take any correlation at once
        at_once = np.where(deviations | (one.name == "rho"), 0.0, moves)
        steps = [theta + at_once + s * (moves - at_once) for s in (h, 1e-3)]
        slope = [np.sum(T * (sigma_of(structure, step) - base)) for step in steps]
        first = slope[0] / h
        if abs(first) > 1e-4:
            assert one.score == pytest.approx(first, rel=1e-3)
        else:
            assert one.score == pytest.approx(slope[1] / 1e-6, rel=1e-3, abs=1e-6)
        inside = structure.off_boundary(theta, [one], 0.1)
        low, high = structure.bounds()
        assert (inside >= low).all() and (inside <= high).all()
        assert one.name not in [other.name for other in structure.empty(inside, T, columns)]


@pytest.mark.parametrize("side", [-1.0, 1.0])
@pytest.mark.parametrize(
    ("keyword", "theta"),
    [("homcs", [0.0, 0.1]), ("cs", [0.0, 0.0, 0.0, 0.1]), ("cs", [0.7, 0.0, 0.0, 0.1])],
)
def test_variances_of_zero_are_left_at_the_correlation_that_lowers_most(
    keyword: str, theta: list[float], side: float
) -> None:
    """Each by itself raises the criterion at the correlation that θ happens to have; nothing depends on that one."""
    structure, T = STRUCTURES[keyword](3), np.full((3, 3), -4.0 * side)
    np.fill_diagonal(T, 3.0)
    found = structure.empty(np.array(theta), T, ["rho", "b", "c"])
    assert found and all(one.score < 0.0 for one in found)
    inside = structure.off_boundary(np.array(theta), found, 0.1)
    low, high = structure.ends
    assert inside[-1] == pytest.approx(high - 0.01 * (high - low) if side > 0 else low + 0.01 * (high - low))
    assert np.sum(T * (sigma_of(structure, inside) - sigma_of(structure, np.array(theta)))) < 0.0
    # a column may have any name
    assert structure.describe(found, "g", ["rho", "b", "c"]).startswith("no variance of ")


@generated
@given(STRUCTURE)
def test_quantities_and_their_derivatives(drawn: Drawn) -> None:
    """Standard deviations and correlations of Σ as it is written out."""
    (keyword, k, _), (structure, theta, _) = drawn, made(drawn)
    values, J = structure.quantity_values(theta)
    Sigma = covariance(keyword, k, theta)
    sd = np.sqrt(np.diag(Sigma))
    for one, value in zip(structure.quantities, values, strict=True):
        if one.kind == "sd":
            assert_allclose(value, sd[list(one.effects)])
            assert one.common == (len(one.effects) > 1) and (not one.common or len(one.effects) == k)
        else:
            a, b = one.effects[1], one.effects[0]
            assert_allclose(value, Sigma[a, b] / (sd[a] * sd[b]), atol=1e-12)
            assert one.common == (len(one.effects) > 2)
    theta = structure.canonical(theta)
    J, h = structure.quantity_values(theta)[1], 1e-6
    for i, unit in enumerate(h * np.eye(len(theta))):
        difference = structure.quantity_values(theta + unit)[0] - structure.quantity_values(theta - unit)[0]
        assert_allclose(J[:, i], difference / (2 * h), atol=1e-7)


@pytest.mark.parametrize(
    ("keyword", "theta", "lost"),
    [
        ("us", [0.0, 0.0, 0.5], [1]),
        ("cs", [0.0, 0.7, 0.3], [2]),
        ("cs", [0.0, 0.7, 0.5, 0.3], []),
        ("cs", [0.0, 0.7, 0.0, 0.3], [3]),
        ("homcs", [0.0, 0.3], [1]),
    ],
)
def test_a_correlation_of_effects_without_variance_is_no_number(
    keyword: str, theta: list[float], lost: list[int]
) -> None:
    k = {("cs", 4): 3}.get((keyword, len(theta)), 2)
    values, J = STRUCTURES[keyword](k).quantity_values(np.array(theta))
    assert_array_equal(np.flatnonzero(np.isnan(values)), lost)
    assert set(lost) <= set(np.flatnonzero(np.isnan(J).any(axis=1)).tolist())


@generated
@given(STRUCTURE)
def test_the_entry_basis_spans_what_the_parameters_move(drawn: Drawn) -> None:
    """The tangent space of the family at θ; constant for a linear one, which holds its own covariances then."""
    (keyword, k, _), (structure, theta, rng) = drawn, made(drawn)
    basis, J = structure.entry_basis(theta), structure.jacobian(theta)
    assert basis.shape == J.shape and np.linalg.matrix_rank(basis) == structure.n_theta
    assert np.linalg.matrix_rank(np.hstack([basis, J])) == structure.n_theta
    assert structure.linear == (keyword != "cs" or k < 3)
    if structure.linear:
        assert_array_equal(structure.entry_basis(random_theta(keyword, k, rng)), basis)
        entries = sigma_of(structure, theta)[structure.support]
        assert_allclose(basis @ np.linalg.lstsq(basis, entries, rcond=None)[0], entries, atol=1e-12)


@generated
@given(STRUCTURE, st.floats(0.1, 10.0))
def test_scaled_multiplies_every_standard_deviation(drawn: Drawn, factor: float) -> None:
    structure, theta, _ = made(drawn)
    before = theta.copy()
    found = structure.scaled(theta, factor)
    assert_allclose(sigma_of(structure, found), factor**2 * sigma_of(structure, theta), rtol=1e-10, atol=1e-13)
    assert_array_equal(theta, before)


@generated
@given(STRUCTURE)
def test_step_units_of_standard_deviations_are_at_least_one(drawn: Drawn) -> None:
    structure, theta, _ = made(drawn)
    _, high = structure.bounds()
    for factor in (1e-3, 1.0, 1e5):
        units = structure.step_units(structure.scaled(theta, factor))
        assert units.shape == theta.shape and (units[np.isinf(high)] >= 1.0).all()
        assert ((units > 0.0) & (units <= 1.0))[np.isfinite(high)].all()
    assert (structure.step_units(structure.scaled(theta, 1e5)) >= 1e3)[np.isinf(high)].all()


@pytest.mark.parametrize("keyword", ["cs", "homcs"])
def test_steps_of_a_correlation_stay_within_its_range(keyword: str) -> None:
    structure = STRUCTURES[keyword](3)
    low, high = structure.ends
    for distance in (1e-6, 1e-3, 0.3):
        for rho in (low + distance, high - distance):
            theta = np.append(structure.start()[:-1], rho)
            assert 1e-4 * structure.step_units(theta)[-1] < distance and not structure.at_end(theta).any()
    for rho in structure.ends:
        assert_array_equal(
            structure.at_end(np.append(structure.start()[:-1], rho)), [False] * (structure.n_theta - 1) + [True]
        )


@pytest.mark.parametrize("keyword", ["cs", "homcs"])
@pytest.mark.parametrize("k", [2, 3, 5])
def test_correlations_outside_their_range_are_refused(keyword: str, k: int) -> None:
    structure = STRUCTURES[keyword](k)
    names = structure.names("g", [f"c{i}" for i in range(k)])
    low = -1.0 / (k - 1)
    inside = structure.start()
    for rho in (low, 0.0, 1.0):
        inside[-1] = rho
        structure.check(inside, names)
        assert np.linalg.eigvalsh(sigma_of(structure, inside))[0] > -1e-12
    for rho in (low - 1e-3, 1.001):
        inside[-1] = rho
        with pytest.raises(ArgumentError, match=rf"g\.rho must lie between {low:.6g} and 1, got"):
            structure.check(inside, names)


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_standard_deviations_may_have_any_sign(keyword: str) -> None:
    structure = STRUCTURES[keyword](3)
    structure.check(structure.scaled(structure.start(), -1.0), structure.names("g", ["a", "b", "c"]))


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_smaller_is_of_the_same_kind(keyword: str) -> None:
    assert STRUCTURES[keyword](3).smaller(2) == STRUCTURES[keyword](2)
    assert all(other in STRUCTURES for other in STRUCTURES[keyword].simpler)


@generated
@given(st.integers(1, 4), st.integers(0, 1000))
def test_simpler_families_are_inside(k: int, seed: int) -> None:
    """Any covariance of a simpler family is one of the richer, and has fewer parameters or as many."""
    for structure in (kind(k) for kind in STRUCTURES.values()):
        for simpler in (STRUCTURES[keyword](k) for keyword in structure.simpler):
            theta = random_theta(simpler.keyword, k, np.random.default_rng(seed))
            lam = simpler.template(theta)
            assert_allclose(sigma_of(structure, structure.theta(lam)), lam @ lam.T, atol=1e-12)
            assert simpler.n_theta < structure.n_theta or k == 1


def assert_canonical(canonical: np.ndarray) -> None:
    assert_array_equal(canonical, np.tril(canonical))
    diagonal = np.diag(canonical)
    assert (diagonal >= 0).all()
    assert not canonical[:, diagonal == 0].any()


@generated
@given(st.integers(1, 4), st.integers(0, 4), st.integers(0, 1000))
def test_canonical_template_keeps_the_covariance(k: int, rank: int, seed: int) -> None:
    rng = np.random.default_rng(seed)
    template = rng.normal(size=(k, min(rank, k))) @ rng.normal(size=(min(rank, k), k))
    canonical = canonical_template(template)
    assert_canonical(canonical)
    assert_allclose(canonical @ canonical.T, template @ template.T, rtol=1e-9, atol=1e-12)
    assert np.count_nonzero(np.diag(canonical)) <= min(rank, k)


@generated
@given(st.integers(2, 4), st.integers(0, 1000))
def test_canonical_template_where_rows_are_empty(k: int, seed: int) -> None:
    """A row that is zero, or depends on those before it, takes no direction from the rows after it."""
    rng = np.random.default_rng(seed)
    template = np.tril(rng.normal(size=(k, k)))
    template[rng.random(k) < 0.5, :] = 0.0
    template[np.diag_indices(k)] *= rng.random(k) < 0.5
    canonical = canonical_template(template)
    assert_canonical(canonical)
    assert_allclose(canonical @ canonical.T, template @ template.T, atol=1e-12)


def test_canonical_template_of_a_canonical_one_is_itself() -> None:
    lower = np.array([[2.0, 0.0], [-1.0, 0.5]])
    assert_allclose(canonical_template(lower), lower, rtol=1e-14)
    assert_allclose(canonical_template(lower * [-1, 1]), lower, rtol=1e-14)
    assert_array_equal(canonical_template(np.zeros((2, 2))), np.zeros((2, 2)))


def test_empty_first_variance_moves_the_rest_to_later_columns() -> None:
    for row in ([3.0, 4.0], [5.0, 0.0], [0.0, -5.0]):
        assert_allclose(canonical_template(np.array([[0.0, 0.0], row])), [[0, 0], [0, 5]])


def test_small_pivots_keep_their_digits() -> None:
    """The product squares the condition number; the factor does not go through it."""
    template = np.array([[-1.0, 0.0], [1.0, 1e-9]])
    assert_allclose(canonical_template(template), [[1, 0], [-1, 1e-9]], rtol=1e-6)


@pytest.mark.parametrize("template", [np.diag([1e-9, 2.0]), np.array([[1e-9, 0.0], [2.0, 1.0]]), np.zeros((2, 2))])
def test_raised_lifts_what_is_below(template: np.ndarray) -> None:
    found = raised(template, 1e-5)
    assert_array_equal(found, np.tril(found))
    assert np.linalg.svd(found)[1][-1] == pytest.approx(1e-5, rel=1e-6)
    assert_allclose(found @ found.T, template @ template.T, atol=2e-10)


def test_raised_keeps_the_signs_of_a_diagonal() -> None:
    found = raised(np.diag([-2.0, -1e-9, 0.0]), 1e-5)
    assert_allclose(np.diag(found), [-2.0, -1e-5, 1e-5])


@pytest.mark.parametrize("keyword", KEYWORDS)
def test_templates_that_are_large_enough_are_returned_as_they_are(keyword: str) -> None:
    structure = STRUCTURES[keyword](2)
    theta = np.full(structure.n_theta, -0.5)
    template = structure.template(theta)
    assert raised(template, 1e-5) is template
    assert structure.emptied(theta, 1e-3) is theta


def test_spreads_are_those_of_all_directions() -> None:
    template = np.array([[1.0, 0.0], [1.0, 0.1]])
    spreads = STRUCTURES["us"](2).spreads(template)
    assert spreads[-1] == pytest.approx(np.linalg.svd(template)[1].min())
    assert (np.diff(spreads) <= 0).all()
    assert STRUCTURES["diag"](2).spreads(np.diag([-3.0, 2.0]))[-1] == pytest.approx(2.0)
