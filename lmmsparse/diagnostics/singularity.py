"""A singular fit, explained: what is empty, and which simpler formula says the same."""

from __future__ import annotations

import textwrap
from dataclasses import dataclass

from lmmsparse.diagnostics.directions import EMPTY_BELOW, TermRank, empty_in_words
from lmmsparse.diagnostics.simpler_formulas import Alternative, Alternatives, FormulaSearch
from lmmsparse.fitted.model import FittedModel

# A relative standard deviation below this is named as nearly none.
NEARLY = 0.05
# Characters in a line of the text.
WIDTH = 100


@dataclass(frozen=True)
class Singularity:
    """Diagnosis of the random effects of a fit, from `LinearMixedModel.singularity`; ``print`` it.

    Attributes
    ----------
    singular : bool
    perfect : bool
        The residual variance is zero, so that the variances mean nothing and nothing was tried.
    formula : str
    reml : bool
    criterion : float
        REML criterion or −2 log-likelihood of the model.
    terms : tuple of TermRank
        Rank, smallest relative standard deviation and findings of every term.
    simpler : Alternative or None
        The formula with the fewest parameters that has the same likelihood: ``formula, criterion, rise, saved``.
    closest : Alternative or None
        Where no formula from the same columns has it, or the simpler one is still singular: the cheapest next step.
    shifted : Alternative or None
        A formula of the same likelihood with another origin of a slope variable, found from these data; ``saved``
        does not count that origin.
    """

    singular: bool
    perfect: bool
    formula: str
    reml: bool
    criterion: float
    terms: tuple[TermRank, ...]
    simpler: Alternative | None
    closest: Alternative | None
    shifted: Alternative | None

    def __str__(self) -> str:
        if self.perfect:
            return "Perfect fit: nothing is left of the response, and the variances of the random effects mean nothing."
        lines = [*self._directions(), *self._near()]
        if self.singular:
            lines += self._alternatives()
        return "\n".join(lines)

    def _directions(self) -> list[str]:
        if not self.singular:
            smallest = min(self.terms, key=lambda term: term.smallest)
            return [
                "The fit is not singular: every direction of the random effects has a variance.",
                f"The smallest relative standard deviation is {smallest.smallest:.3g}, in {smallest.term}.",
            ]
        groups = [term.group for term in self.terms]
        out = ["The fit is singular: some directions of the random effects have no variance."]
        for term in self.terms:
            name = term.group if groups.count(term.group) == 1 else term.term
            out += [_wrapped(f"  {name}: {finding}") for finding in term.findings]
        return out

    def _near(self) -> list[str]:
        return [
            f"  {term.term} is nearly singular: its smallest relative standard deviation is {term.smallest:.2g}"
            for term in self.terms
            if not term.is_singular and term.smallest < NEARLY
        ]

    def _alternatives(self) -> list[str]:
        criterion = "REML criterion" if self.reml else "-2 log-likelihood"
        out = []
        if self.simpler is not None:
            one = self.simpler
            out += [
                f"The same {criterion} ({one.criterion:.4f}; here {self.criterion:.4f}), {_fewer(one.saved)}:",
                f"  {one.formula}",
            ]
        if self.closest is not None:
            one, more = self.closest, " even" if self.simpler else ""
            out += [
                f"None of the{more} simpler formulas that were tried has the {criterion} {self.criterion:.4f};",
                f"the closest raises it by {one.rise:.4g}, {_fewer(one.saved)}:",
                f"  {one.formula}",
            ]
        if self.shifted is not None:
            one = self.shifted
            out += [
                f"With an origin found from these data (count it as a parameter), the same {criterion} "
                f"({one.criterion:.4f}) has:",
                f"  {one.formula}",
            ]
        if not out:
            out.append("No simpler formula from the same columns could be fitted.")
        return out

    __repr__ = __str__


def _wrapped(text: str) -> str:
    return textwrap.fill(text, WIDTH, subsequent_indent=" " * 6, break_long_words=False, break_on_hyphens=False)


def _fewer(saved: int) -> str:
    return f"{saved} parameter{'' if saved == 1 else 's'} fewer"


def singularity(model: FittedModel) -> Singularity:
    """Diagnosis of a singular fit: which directions are empty, and which simpler formula has the same likelihood.

    Terms of singular bars are taken away, ``|`` becomes ``||``, and whole bars go, one step at a time; each such
    model is refitted, and of those whose criterion is the same (to 1e-4) the one with the fewest parameters is
    taken, until nothing more can go.  Nothing is printed that was not fitted.  Each step takes as long as some
    fits of the model.

    Returns
    -------
    Singularity
        To be printed; ``terms`` has the rank and the findings of every term, and ``simpler``, ``closest`` and
        ``shifted`` hold ``formula, criterion, rise, saved`` or are None.  A fit that is not singular says so, and
        names the terms that nearly are.

    Notes
    -----
    Intercepts and slopes that are one number times (a, b) are the slopes of x + a/b: with that origin of x a
    single slope has the same likelihood.

    Examples
    --------
    >>> import warnings
    >>> from lmmsparse import lmer, load_dataset
    >>> with warnings.catch_warnings():
    ...     warnings.simplefilter("ignore")
    ...     m = lmer("Reaction ~ Days + (Days | Subject)", load_dataset("sleepstudy").iloc[:20])
    >>> print(m.singularity())
    The fit is singular: some directions of the random effects have no variance.
      Subject: the effects of (Intercept) and Days are perfectly correlated: every level's effects are
          one number times (27.51, 13.71)
    None of the simpler formulas that were tried has the REML criterion 189.8847;
    the closest raises it by 1.361, 1 parameter fewer:
      Reaction ~ Days + (Days || Subject)
    With an origin found from these data (count it as a parameter), the same REML criterion (189.8847) has:
      Reaction ~ Days + (0 + I(Days + 2.007) | Subject)
    """
    terms = tuple(_term_rank(model, t) for t in range(len(model.terms)))
    perfect = model.estimates.perfect
    singular = any(term.is_singular for term in terms)
    found = Alternatives(None, None, None)
    if singular and not perfect:
        found = FormulaSearch(model, [term.rank for term in terms]).run()
    return Singularity(
        singular=singular,
        perfect=perfect,
        formula=model.frame.formula.text,
        reml=model.is_reml,
        criterion=model.criterion,
        terms=terms,
        simpler=found.simpler,
        closest=found.closest,
        shifted=found.shifted,
    )


def _term_rank(model: FittedModel, t: int) -> TermRank:
    term, bar = model.terms[t], model.frame.formula.bars[model.terms[t].bar]
    values = term.structure.spreads(model.objective.template(model.estimates.point, t))
    rank = int((values >= EMPTY_BELOW).sum())
    lengths = model.objective.design.coordinates.term_units(t)
    findings = empty_in_words(term.names, model.estimates.templates[t], lengths, rank, model.sigma)
    return TermRank(bar.name, term.group, term.names, rank, float(values[-1]), findings)
