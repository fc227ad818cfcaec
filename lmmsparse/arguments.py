"""Checks of arguments that several methods share, so that all of them refuse in the same words.

Each takes ``where``, the method that the user called, as the first word of its message.
"""

from __future__ import annotations

import decimal
import difflib
import fractions
import itertools
import math
import warnings
from collections.abc import Iterable, Mapping, Sequence
from typing import Any, TypeVar

import numpy as np
import pandas as pd
from numpy.typing import NDArray

from lmmsparse.errors import ArgumentError, MemoryLimitError

Object = TypeVar("Object")


# A value is shown in a message with so many characters at most.
LONGEST = 200
# Counts are no larger: nothing has more rows or draws.
LARGEST_COUNT = 2**31 - 1
# More members of a collection are not looked at: an iterator need not end.
MOST_MEMBERS = 1_000_000


def checked_flag(where: str, name: str, value: Any) -> bool:
    """True or False; 0 and ``"yes"`` are neither."""
    if not isinstance(value, (bool, np.bool_)):
        raise ArgumentError(f"{_place(where, name)} must be True or False, got {shown(value)}")
    return bool(value)


def checked_count(where: str, name: str, value: Any, least: int = 1) -> int:
    """A whole number, above zero unless another least one is given."""
    count = as_whole(value)
    if count is None or count < least:
        wanted = "a positive integer" if least == 1 else f"a whole number, {least} or more"
        raise ArgumentError(f"{_place(where, name)} must be {wanted}, got {shown(value)}")
    if count > LARGEST_COUNT:
        raise ArgumentError(f"{_place(where, name)} must be below 2**31, got {shown(value)}")
    return count


def check_memory(where: str, what: str, needed: float, limit: float) -> None:
    """Refuse what would take more bytes than it may, before it is tried."""
    if needed > limit:
        raise MemoryLimitError(
            f"{where}: {what} need {needed:.3g} bytes, and {limit:.3g} may be used (control's memory_limit)"
        )


def checked_level(where: str, level: Any) -> float:
    """The coverage of an interval, between 0 and 1."""
    number = as_real(level)
    if number is None or not 0.5 < 0.5 + 0.5 * number < 1.0:
        advice = "; parm= takes names of parameters" if where == "conf_int" and isinstance(level, str) else ""
        raise ArgumentError(
            f"{where}: level must be a number between 0 and 1, such as 0.95, got {shown(level)}{advice}"
        )
    return number


def checked_choice(where: str, name: str, value: Any, choices: Sequence[str]) -> str:
    """One of several words."""
    word = as_text(value)
    if word is None or word not in choices:
        raise ArgumentError(f"{_place(where, name)} must be one of {', '.join(choices)}, got {shown(value)}")
    return word


def checked_object(where: str, name: str, value: Any, wanted: type[Object], article: str) -> Object:
    """An object of the library, made by another of its functions.

    Parameters
    ----------
    article : str
        What it is and where it comes from, for the message.
    """
    if not isinstance(value, wanted):
        raise ArgumentError(f"{_place(where, name)} must be {article}, got {shown(value)}")
    return value


def as_text(value: Any) -> str | None:
    """The text itself, without what a subclass of ``str`` makes of it; None for what is no text."""
    return str.__str__(value) if isinstance(value, str) else None


def as_whole(value: Any) -> int | None:
    """An integer as ``int``; None for what is none, as True and False."""
    if isinstance(value, (bool, np.timedelta64)) or not isinstance(value, (int, np.integer)):
        return None
    return int.__index__(value) if isinstance(value, int) else int(value)


def as_real(value: Any) -> float | None:
    """A real number as ``float``, infinite where it is too large for that; None for what is none, as True and False."""
    if isinstance(value, (float, np.floating)):
        return float.__float__(value) if isinstance(value, float) else float(value)
    integer = as_whole(value)
    if integer is None:
        return None
    try:
        return float(integer)
    except OverflowError:
        return math.inf if integer > 0 else -math.inf


def as_list(value: Any) -> list[Any]:
    """The members of a collection; text, and what has no members, alone."""
    if isinstance(value, (str, bytes)) or not isinstance(value, Iterable):
        return [value]
    try:
        return list(itertools.islice(value, MOST_MEMBERS))
    except Exception:  # whatever a user's __iter__ raises
        return [value]


def as_dict(value: Any) -> dict[Any, Any] | None:
    """A dict of what a mapping holds; None for what is none, or whose own methods fail."""
    if not isinstance(value, Mapping):
        return None
    try:
        return {key: value[key] for key in value}
    except Exception:  # whatever a user's __iter__ or __getitem__ raises
        return None


def name_of(key: Any) -> str:
    """The name of a column, of which a library may make any object."""
    if type(key) is str:
        return key
    try:
        return str(key)
    except Exception:  # whatever a user's __str__ raises
        return shown(key)


def length_of(value: Any) -> int | None:
    """How many members a collection has; None of text and of what is no collection."""
    if isinstance(value, str) or not has(value, "__len__"):
        return None
    try:
        return len(value)
    except Exception:  # 0-d arrays, and whatever a user's __len__ raises
        return None


def as_array(value: Any) -> NDArray[Any] | None:
    """What NumPy makes of a value; None where it, or the value's own methods, make nothing of it."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of ragged or deprecated inputs, which are refused or understood
            made = np.asanyarray(value)
            if isinstance(made, np.matrix):
                made = np.asarray(made)
    except Exception:  # whatever another library's or a user's __array__, __len__ or __getitem__ raises
        return None
    return made


def as_numbers(value: Any, copy: bool = True) -> NDArray[np.float64] | None:
    """Real numbers as an array of floats; what is missing or masked is NaN, and None means that there are others.

    Text that reads like a number is none, nor are times and categories; integers too large for a float are infinite.
    Without ``copy`` an array of floats is returned as it is, not to be written to.
    """
    if not copy and type(value) is np.ndarray and value.dtype == np.float64 and value.dtype.isnative:
        return value
    made = None if (has(value, "dtype") and isinstance(value.dtype, pd.CategoricalDtype)) else as_array(value)
    if made is None or made.dtype.kind not in "biufO":
        return None
    mask = np.ma.getmaskarray(made) if isinstance(made, np.ma.MaskedArray) else None
    plain = np.asarray(made)
    if plain.dtype.kind == "O":
        found = _each_number(plain)
        if found is None:
            return None
    else:
        with np.errstate(over="ignore"):  # of long doubles
            found = np.array(plain, dtype=np.float64)
    if mask is not None:
        found[mask] = np.nan
    return found


def _each_number(values: NDArray[Any]) -> NDArray[np.float64] | None:
    """Objects as numbers, None and NA as NaN."""
    out = np.empty(values.shape)
    for place, value in zip(np.ndindex(values.shape), values.flat, strict=True):
        if value is None or value is pd.NA:
            out[place] = np.nan
        elif isinstance(value, (bool, np.bool_, decimal.Decimal, fractions.Fraction)):
            try:
                out[place] = float(value)
            except (ValueError, OverflowError):  # a signalling NaN, a fraction without end
                return None
        else:
            number = as_real(value)
            if number is None:
                return None
            out[place] = number
    return out


def has(value: Any, *names: str) -> bool:
    """Whether the class of an object has these attributes; its own ``__getattr__`` is not asked."""
    return all(hasattr(type(value), name) for name in names)


def shown(value: Any) -> str:
    """A value as a message shows it: not too long, whatever its own methods do."""
    try:
        written = repr(value)
    except Exception:  # a user's __repr__, an integer of thousands of digits, a list in itself
        written = f"<{type(value).__name__}>"
    return written if len(written) <= LONGEST else f"{written[: LONGEST - 3]}..."


def _place(where: str, name: str) -> str:
    """``"bootstrap: nsim"``; of a function that has no part before the colon the argument alone."""
    return f"{where}: {name}" if where else name


def near_miss(name: str, known: Iterable[object]) -> str | None:
    """The known name that is the same but for case, else the only one that begins so, else the one most like it."""
    names = [str(one) for one in known]
    same_but_for_case = [one for one in names if one.lower() == name.lower()]
    longer = [one for one in names if len(name) > 2 and one.lower().startswith(name.lower())]
    close = same_but_for_case or (longer if len(longer) == 1 else difflib.get_close_matches(name, names, n=1))
    return close[0] if close else None


def unknown_name(where: str, what: str, name: Any, known: Sequence[str], listed: Sequence[str] = ()) -> ArgumentError:
    """The error that says what is not there, and what is.

    Parameters
    ----------
    where : str
    what : str
        ``"parameter"``.
    name : Any
        What was asked for.
    known : sequence of str
    listed : sequence of str, optional
        The list for the reader, where it is not that of the names.
    """
    word = as_text(name)
    near = None if word is None else near_miss(word, known)
    begin = "there are" if near is None else f"did you mean {near!r}? There are"
    return ArgumentError(f"{where}: there is no {what} {shown(name)}; {begin} {', '.join(listed or known)}")
