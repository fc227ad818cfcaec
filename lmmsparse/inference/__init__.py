"""What can be said of the estimates: tests, intervals, profiles and the bootstrap."""

from lmmsparse.inference.hypotheses.anova import anova

__all__ = ["anova"]
