"""Values that are computed once a model and kept on it."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps
from typing import Any, TypeVar

from lmmsparse.numerics.readonly import locked

Model = TypeVar("Model")
Value = TypeVar("Value")


def remembered(compute: Callable[[Model], Value]) -> Callable[[Model], Value]:
    """A function of a model whose value is kept on the model, as `functools.cached_property` keeps one; read-only.

    Any layer can share a value in this way: the class of the model need not know its type.

    Examples
    --------
    >>> from types import SimpleNamespace
    >>> @remembered
    ... def total(model):
    ...     print("adding up")
    ...     return sum(model.parts)
    >>> model = SimpleNamespace(parts=(1, 2))
    >>> total(model), total(model)
    adding up
    (3, 3)
    """

    @wraps(compute)
    def value(model: Model) -> Value:
        kept = vars(model)
        if (key := _key(compute)) not in kept:
            kept[key] = locked(compute(model))
        found: Value = kept[key]
        return found

    return value


def is_remembered(function: Callable[..., Any], model: Any) -> bool:
    """Whether a model knows the value of a `remembered` function already."""
    return _key(function) in vars(model)


def _key(function: Callable[..., Any]) -> str:
    """A name that no attribute can have, and that is not offered as one."""
    return f"_{function.__module__}:{function.__qualname__}"
