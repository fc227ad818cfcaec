"""Seconds against the number of observations and of random effects, both axes logarithmic."""

from __future__ import annotations

from pathlib import Path

from benchmarks.models import MODELS
from benchmarks.peers import LIBRARY, PEERS
from benchmarks.records import Record, Results

FIGURE = Path(__file__).resolve().parent.parent / "docs" / "benchmarks.svg"
# Told apart by people who do not see all colours (Okabe and Ito), and by their markers.
LOOKS = {
    "lmmsparse": ("#000000", "o"),
    "lme4": ("#0072B2", "s"),
    "glmm": ("#D55E00", "^"),
    "mixedlm": ("#009E73", "D"),
    "lme-python": ("#CC79A7", "v"),
    "gpboost": ("#E69F00", "P"),
    "statsmodels": ("#56B4E9", "X"),
}
# Designs of one kind in growing size: a line joins them.
FAMILY = ("crossed-100k", "crossed-1M", "crossed-10M")


def draw(results: Results, path: Path = FIGURE) -> None:
    """Write the figure; the format follows the name of the file."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib import pyplot as plt

    # the same results give the same file
    with matplotlib.rc_context({"svg.hashsalt": "benchmarks", "svg.fonttype": "none", "font.size": 9}):
        figure, axes = plt.subplots(1, 2, figsize=(10, 4.6), sharey=True, layout="constrained")
        for axis, name, label in zip(axes, ("n", "q"), ("observations n", "random effects q"), strict=True):
            for peer in PEERS:
                points = _points(results, peer)
                if not points:
                    continue
                colour, marker = LOOKS[peer]
                sizes = [getattr(one, name) for one in points]
                axis.scatter(
                    sizes,
                    [one.median_seconds for one in points],
                    s=42 if peer == LIBRARY else 26,
                    marker=marker,
                    label=peer,
                    zorder=3 if peer == LIBRARY else 2,
                    facecolors=colour if peer == LIBRARY else "none",
                    edgecolors=colour,
                )
                family = [one for one in points if one.model in FAMILY]
                axis.plot([getattr(one, name) for one in family], [one.median_seconds for one in family], color=colour)
            axis.set(xscale="log", yscale="log", xlabel=label)
            axis.grid(alpha=0.3, which="major")
        axes[0].set_ylabel("seconds")
        axes[0].legend(frameon=False)
        figure.suptitle("One fit; lines join the crossed designs of growing size", fontsize=9)
        metadata = {"Date": None} if path.suffix == ".svg" else None
        figure.savefig(path, metadata=metadata, dpi=150)
        plt.close(figure)


def _points(results: Results, peer: str) -> list[Record]:
    found = [
        one
        for one in results.records.values()
        if one.peer == peer and one.status == "ok" and not MODELS[one.model].refits
    ]
    return sorted(found, key=lambda one: one.n)
