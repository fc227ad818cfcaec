"""What a reader of a fit must know, said once, as warnings with classes."""

from __future__ import annotations

import warnings
from collections.abc import Sequence

from lmmsparse.errors import (
    ConvergenceWarning,
    IdentifiabilityWarning,
    PerfectFitWarning,
    RoundingWarning,
    SeveralMinimaWarning,
    SingularFitWarning,
)
from lmmsparse.estimation.certificate import LARGEST_ROUNDING, OptInfo, describe_flat, describe_rounding
from lmmsparse.estimation.estimates import Estimates
from lmmsparse.frame import ModelFrame


def warn_of(estimates: Estimates, info: OptInfo, unidentified: Sequence[str], stacklevel: int) -> None:
    """Warn when a fit is perfect, not converged or singular, and when θ is not identified.

    Parameters
    ----------
    estimates : Estimates
    info : OptInfo
    unidentified : sequence of str
        Parameters that cannot be told apart.
    stacklevel : int
        Of `warnings.warn`: where the warning is to appear to come from.
    """
    if estimates.perfect:
        warnings.warn(info.message, PerfectFitWarning, stacklevel=stacklevel)
    elif not info.converged:
        warnings.warn(info.message, ConvergenceWarning, stacklevel=stacklevel)
    elif estimates.singular:
        text = f"{info.message.removeprefix('converged: ')}; m.singularity() explains"
        warnings.warn(text, SingularFitWarning, stacklevel=stacklevel)
    rounding = info.rounding
    if info.converged and not estimates.perfect and rounding is not None and rounding.largest > LARGEST_ROUNDING:
        warnings.warn(
            f"the residuals are so small beside the random effects that digits are lost: {describe_rounding(rounding)}",
            RoundingWarning,
            stacklevel=stacklevel,
        )
    if info.doubtful and not estimates.perfect:
        warnings.warn(
            f"searches ended in {len(info.minima)} minima of the criterion, and few in the lowest: "
            "there may be a lower one; m.allfit(starts=...) searches from more starts",
            SeveralMinimaWarning,
            stacklevel=stacklevel,
        )
    if unidentified:
        warnings.warn(
            f"the data cannot tell {describe_flat(unidentified)}: theta is not identified, "
            "although the fitted values and the criterion are",
            IdentifiabilityWarning,
            stacklevel=stacklevel,
        )


def notes(frame: ModelFrame, info: OptInfo) -> tuple[str, ...]:
    """The same for the end of a summary: dropped columns, and how the search ended when there is something to say."""
    out = []
    if frame.dropped:
        columns = "column" if len(frame.dropped) == 1 else "columns"
        out.append(
            f"fixed-effect model matrix is rank deficient so dropping {len(frame.dropped)} {columns}: "
            + ", ".join(frame.dropped)
        )
    if info.message != "converged":
        out.append(info.message.removeprefix("converged: "))
    return tuple(out)
