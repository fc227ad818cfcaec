"""Which parameters an argument such as ``parm`` names."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from lmmsparse.arguments import unknown_name


def selected_parameters(
    where: str, parm: Any, codes: Sequence[str], names: Sequence[str], parts: Mapping[str, Sequence[int]]
) -> list[int]:
    """Positions of the parameters that are asked for, each once, in the order in which they were named.

    Parameters
    ----------
    where : str
        The method that was called.
    parm : None, str or sequence of str
        Names of either kind, or of parts; None stands for everything.
    codes, names : sequences of str
        lme4's name of every parameter, and its readable one.
    parts : mapping of str to sequences of int
        Positions of all variance parameters, ``"theta_"``, and of all fixed effects, ``"beta_"``.

    Raises
    ------
    ArgumentError
        There is no such parameter.
    """
    if parm is None:
        return list(range(len(codes)))
    pairs = list(zip(codes, names, strict=True))
    chosen: dict[int, None] = {}
    for name in parm if isinstance(parm, Iterable) and not isinstance(parm, str) else [parm]:
        if isinstance(name, str) and name in parts:
            found = list(parts[name])
        else:
            found = [position for position, pair in enumerate(pairs) if name in pair]
            if not found:
                shown = [code if code == readable else f"{code} ({readable})" for code, readable in pairs]
                raise unknown_name(where, "parameter", name, [*names, *codes], shown)
        chosen |= dict.fromkeys(found)
    return list(chosen)
