"""Arrays that are not to be written to: what a result shows must stay what it was computed from."""

from __future__ import annotations

from dataclasses import is_dataclass
from typing import TypeVar

import numpy as np

Value = TypeVar("Value")


def locked(value: Value) -> Value:
    """The value itself, with its arrays read-only from now on: those in tuples, dicts and dataclasses too.

    A dataclass that is a field of another is left alone: it is somebody else's.

    Examples
    --------
    >>> locked((np.zeros(2), np.ones(1)))[0].flags.writeable
    False
    """
    if isinstance(value, np.ndarray):
        value.flags.writeable = False
    elif isinstance(value, (tuple, dict)):
        for member in value.values() if isinstance(value, dict) else value:
            locked(member)
    elif is_dataclass(value):
        for field in vars(value).values():
            if isinstance(field, (np.ndarray, tuple, dict)):
                locked(field)
    return value
