"""Data and a formula to the rows kept, the response, the matrices and the grouping factors."""

from __future__ import annotations

from lmmsparse.frame.build import build_model_frame
from lmmsparse.frame.grouping import Codes, Grouping, JointLevels, Levels
from lmmsparse.frame.libraries import Table, open_table
from lmmsparse.frame.model_frame import BarColumns, ModelFrame
from lmmsparse.frame.newdata import NewData

__all__ = [
    "BarColumns",
    "Codes",
    "Grouping",
    "JointLevels",
    "Levels",
    "ModelFrame",
    "NewData",
    "Table",
    "build_model_frame",
    "open_table",
]
