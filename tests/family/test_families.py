"""What families can be made of."""

from __future__ import annotations

import pytest

from lmmsparse.errors import ArgumentError
from lmmsparse.family import LINKS, Binomial, Gamma, NegativeBinomial, Poisson


def test_the_first_link_is_the_default() -> None:
    assert (Binomial().link, Poisson().link, Gamma().link) == ("logit", "log", "inverse")
    assert Binomial(link="probit").g is LINKS["probit"]
    assert repr(LINKS["probit"]) == "Link('probit')"


@pytest.mark.parametrize("link", ["inverse", 3, None])
def test_a_link_that_the_family_has_not_is_refused(link: object) -> None:
    with pytest.raises(ArgumentError, match="the family poisson has the links 'log', 'identity', 'sqrt'"):
        Poisson(link=link)  # type: ignore[arg-type]


def test_families_are_compared_by_what_they_are() -> None:
    assert Binomial() == Binomial(link="logit") != Binomial(link="probit")
    assert NegativeBinomial(size=2.0) != NegativeBinomial(size=3.0)


@pytest.mark.parametrize("size", [0.0, -1.0, float("nan"), float("inf"), "2", True, None])
def test_a_size_is_positive(size: object) -> None:
    with pytest.raises(ArgumentError, match="size of a negative binomial"):
        NegativeBinomial(size=size)  # type: ignore[arg-type]
