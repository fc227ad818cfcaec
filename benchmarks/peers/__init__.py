"""The programs that are measured, by name. No program's package is imported before its own process is running."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from benchmarks.models import Model

LIBRARY = "lmmsparse"
HERE = Path(__file__).resolve().parent


@dataclass(frozen=True)
class Programs:
    """Interpreters.

    Attributes
    ----------
    library : str
        Of the environment of this library.
    python : str
        Of the environment of the other Python programs.
    rscript : str
    """

    library: str = sys.executable
    python: str = sys.executable
    rscript: str = "Rscript"


@dataclass(frozen=True)
class Peer:
    """A program, and where its adapter is.

    Attributes
    ----------
    name : str
    module : str
        In this package; R's is a script instead.
    """

    name: str
    module: str

    def command(self, model: Model, folder: Path, repeats: int, budget: float, programs: Programs) -> list[str]:
        """What starts a process that fits a model.

        Parameters
        ----------
        model : Model
        folder : Path
            Where its data are.
        repeats : int
        budget : float
            Seconds of fitting after which no repeat is begun.
        programs : Programs
        """
        arguments = [model.name, str(folder), str(repeats), str(budget)]
        if self.module.endswith(".R"):
            return [programs.rscript, str(HERE / self.module), *arguments, model.formula, str(model.refits)]
        interpreter = programs.library if self.name == LIBRARY else programs.python
        return [interpreter, "-m", "benchmarks.worker", self.module, *arguments]


PEERS = {
    peer.name: peer
    for peer in (
        Peer(LIBRARY, "lmmsparse"),
        Peer("lme4", "lme4.R"),
        Peer("glmm", "glmm"),
        Peer("mixedlm", "mixedlm"),
        Peer("lme-python", "lme_python"),
        Peer("gpboost", "gpboost"),
        Peer("statsmodels", "statsmodels"),
    )
}
