"""What can be said of the estimates: degrees of freedom and tests."""

from lmmsparse.inference.comparison import anova

__all__ = ["anova"]
