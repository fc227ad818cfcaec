"""Checks of arguments that several methods share, so that all of them refuse in the same words.

Each takes ``where``, the method that the user called, as the first word of its message.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable, Sequence
from typing import Any

import numpy as np

from lmmsparse.errors import ArgumentError


def checked_flag(where: str, name: str, value: Any) -> bool:
    """True or False; 0 and ``"yes"`` are neither."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{where}: {name} must be True or False, got {value!r}")
    return bool(value)


def checked_count(where: str, name: str, value: Any) -> int:
    """A whole number above zero."""
    if not is_whole(value) or value < 1:
        raise ArgumentError(f"{where}: {name} must be a positive integer, got {value!r}")
    return int(value)


def checked_level(where: str, level: Any) -> float:
    """The coverage of an interval, between 0 and 1."""
    if isinstance(level, bool) or not isinstance(level, (int, float, np.number)) or not 0.0 < float(level) < 1.0:
        advice = "; parm= takes names of parameters" if where == "conf_int" and isinstance(level, str) else ""
        raise ArgumentError(f"{where}: level must be a number between 0 and 1, such as 0.95, got {level!r}{advice}")
    return float(level)


def checked_choice(where: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """One of several words."""
    if not isinstance(value, str) or value not in choices:
        raise ArgumentError(f"{where}: {name} must be one of {', '.join(choices)}, got {value!r}")
    return value


def near_miss(name: str, known: Iterable[object]) -> str | None:
    """The known name that is the same but for case, else the only one that begins so, else the one most like it."""
    names = [str(one) for one in known]
    same_but_for_case = [one for one in names if one.lower() == name.lower()]
    longer = [one for one in names if len(name) > 2 and one.lower().startswith(name.lower())]
    close = same_but_for_case or (longer if len(longer) == 1 else difflib.get_close_matches(name, names, n=1))
    return close[0] if close else None


def unknown_name(where: str, what: str, name: Any, known: Sequence[str], shown: Sequence[str] = ()) -> ArgumentError:
    """The error that says what is not there, and what is.

    Parameters
    ----------
    where : str
    what : str
        ``"parameter"``.
    name : Any
        What was asked for.
    known : sequence of str
    shown : sequence of str, optional
        The list for the reader, where it is not that of the names.
    """
    near = near_miss(str(name), known)
    begin = "there are" if near is None else f"did you mean {near!r}? There are"
    return ArgumentError(f"{where}: there is no {what} {name!r}; {begin} {', '.join(shown or known)}")


def is_whole(value: Any) -> bool:
    """Whether it is an integer, which True and False are not."""
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)
