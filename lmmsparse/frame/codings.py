"""Contrast codings, by name or as formulaic's objects."""

from __future__ import annotations

import inspect
from collections.abc import Collection, Mapping
from typing import Any

from formulaic.transforms import ContrastsRegistry
from formulaic.transforms.contrasts import Contrasts, CustomContrasts

from lmmsparse.arguments import as_dict, as_text, name_of, shown
from lmmsparse.errors import ArgumentError
from lmmsparse.formula import canonical, suggestion
from lmmsparse.frame.functions import custom

CODINGS = {
    "treatment": ContrastsRegistry.treatment,
    "sum": ContrastsRegistry.sum,
    "helmert": ContrastsRegistry.helmert,
    "poly": ContrastsRegistry.poly,
    "sas": ContrastsRegistry.SAS,
}


def contrast_codings(contrasts: Mapping[str, Any] | None, terms: Collection[str]) -> dict[str, Contrasts]:
    """Contrasts of each variable as formulaic's objects.

    Parameters
    ----------
    contrasts : mapping of str to coding, optional
        ``"treatment"``, ``"sum"``, ``"helmert"``, ``"poly"``, ``"sas"``, R's names of them
        (``"contr.sum"``), or one of formulaic's objects.
    terms : collection of str
        Variables and expressions that stand as terms in the model.

    Raises
    ------
    ArgumentError
        A coding is unknown, or a variable is no term of the model.
    """
    if contrasts is None:
        return {}
    given = as_dict(contrasts)
    if given is None:
        raise ArgumentError("contrasts must be a dict such as {'recipe': 'sum'}.")
    codings = {}
    for name, coding in ((name_of(key), coding) for key, coding in given.items()):
        term = canonical(name) if "(" in name else name
        if term not in terms:
            raise ArgumentError(
                f"contrasts names {shown(name)}, which is no term of the model{suggestion(name, terms)}"
            )
        codings[term] = _coding(name, coding)
    return codings


def _coding(key: str, coding: Any) -> Contrasts:
    word = as_text(coding)
    if word is not None:
        name = word.lower().removeprefix("contr.")
        if name not in CODINGS:
            raise ArgumentError(f"contrasts of {key!r}: {shown(word)} is none of {', '.join(map(repr, CODINGS))}.")
        coding = CODINGS[name]
    try:
        if inspect.isclass(coding) and issubclass(coding, Contrasts):
            coding = coding()
        if isinstance(coding, CustomContrasts):
            coding = custom(coding.contrasts, coding.contrast_names)
    except Exception as error:  # a class of the caller's raises what it likes
        raise ArgumentError(f"contrasts of {key!r}: {error}") from error
    if not isinstance(coding, Contrasts):
        raise ArgumentError(
            f"contrasts of {key!r} must be one of {', '.join(map(repr, CODINGS))} or a formulaic Contrasts object."
        )
    return coding
