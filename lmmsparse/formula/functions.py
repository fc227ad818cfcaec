"""The closed list of what an expression can call, and with which arguments."""

from __future__ import annotations

from dataclasses import dataclass

from lmmsparse.formula.limits import COLUMNS_OF_A_TRANSFORM, DEGREE


@dataclass(frozen=True)
class Signature:
    """What a function takes.

    Attributes
    ----------
    parameters : tuple of str
        In the order of the arguments without a name.
    required : int
        How many of them must be there.
    named : bool
        Whether arguments can be given by name.
    literals : frozenset of str
        Those that are written out: numbers, texts, True, False, None and lists of them.
    bounds : tuple of (str, int)
        The largest whole number that a parameter takes.
    """

    parameters: tuple[str, ...]
    required: int = 1
    named: bool = True
    literals: frozenset[str] = frozenset()
    bounds: tuple[tuple[str, int], ...] = ()


def _takes(parameters: str, required: int = 1, literals: str = "", **bounds: int) -> Signature:
    fixed = frozenset([*literals.split(), *bounds])
    return Signature(tuple(parameters.split()), required, True, fixed, tuple(bounds.items()))


ELEMENTWISE = _takes("x")
SPLINE_LITERALS = "df knots lower_bound upper_bound constraints extrapolation"
SPLINE = _takes(
    "x df knots lower_bound upper_bound constraints extrapolation",
    literals=SPLINE_LITERALS,
    df=COLUMNS_OF_A_TRANSFORM,
)
CALLS: dict[str, Signature] = {
    **dict.fromkeys(
        ("log2", "log10", "log1p", "exp", "expm1", "sqrt", "abs", "sin", "cos", "tan", "floor"), ELEMENTWISE
    ),
    "log": _takes("x base"),
    "round": _takes("x decimals", decimals=20),
    "I": ELEMENTWISE,
    "factor": _takes("x levels", literals="levels"),
    "as_factor": _takes("x levels", literals="levels"),
    "as_numeric": ELEMENTWISE,
    "C": _takes("x contrasts levels", literals="levels"),
    "scale": _takes("x center scale"),
    "center": ELEMENTWISE,
    "poly": _takes("x degree raw", literals="raw", degree=DEGREE),
    "bs": _takes(
        "x df knots degree include_intercept lower_bound upper_bound extrapolation",
        literals="knots include_intercept lower_bound upper_bound extrapolation",
        df=COLUMNS_OF_A_TRANSFORM,
        degree=DEGREE,
    ),
    "cr": SPLINE,
    "cs": SPLINE,
    "cc": SPLINE,
}
ONE_ARRAY = (
    "abs absolute arccos arccosh arcsin arcsinh arctan arctanh cbrt ceil cos cosh deg2rad degrees exp exp2 expm1 fabs "
    "floor invert isfinite isinf isnan log log10 log1p log2 logical_not negative positive rad2deg radians reciprocal "
    "rint sign sin sinh sqrt square tan tanh trunc"
)
TWO_ARRAYS = (
    "add arctan2 divide equal float_power floor_divide fmax fmin fmod greater greater_equal heaviside hypot less "
    "less_equal logaddexp logaddexp2 logical_and logical_or logical_xor maximum minimum mod multiply not_equal power "
    "remainder subtract true_divide"
)
NUMPY_CALLS: dict[str, Signature] = {
    **dict.fromkeys(ONE_ARRAY.split(), Signature(("x",), named=False)),
    **dict.fromkeys(TWO_ARRAYS.split(), Signature(("x", "y"), 2, named=False)),
    "round": _takes("x decimals", decimals=20),
    "clip": Signature(("x", "low", "high"), 3, named=False),
    "where": Signature(("condition", "x", "y"), 3, named=False),
    "isin": _takes("x values", 2, literals="values"),
    "digitize": _takes("x bins right", 2, literals="bins right"),
}
NUMPY_CONSTANTS = ("pi", "e", "nan", "inf", "euler_gamma")
CONTRASTS: dict[str, Signature] = {
    "treatment": _takes("base", 0, literals="base"),
    "sum": Signature((), 0),
    "helmert": _takes("reverse scale", 0, literals="reverse scale"),
    "diff": _takes("backward", 0, literals="backward"),
    "poly": _takes("scores", 0, literals="scores"),
    "SAS": _takes("base", 0, literals="base"),
    "custom": _takes("contrasts names", literals="contrasts names"),
}
# What R users write, and how it is said here; {x} and so on are the arguments that they gave.
INSTEAD = {
    "ns": "cr({0}, df=...) is a natural cubic spline with memory (other columns than R's ns(), the same curves)",
    "dummy": "I({0} == {1}) is the column of one level; as a number, np.where({0} == {1}, 1, 0)",
    "relevel": "C({0}, contr.treatment({1})) takes another level as the reference",
    "ifelse": "np.where({0}, {1}, {2}) chooses between two values",
    "cut": "factor(np.digitize({0}, [...])) makes classes with the limits in the list",
    "interaction": "write {0}:{1}, as in (1 | {0}:{1})",
    "mean": "center({0}) subtracts the mean, and remembers it for new data",
    "sd": "scale({0}) divides by the standard deviation, and remembers it for new data",
    "Treatment": "contr.treatment({0}) is the coding with a reference level of your choice",
    "Sum": "contr.sum is the coding by deviations from the mean",
    "is.na": "np.isnan({0}) says where a number is missing",
    "paste": "write {0}:{1} for the combinations of two factors",
    "pmin": "np.minimum({0}, {1}) takes the smaller one",
    "pmax": "np.maximum({0}, {1}) takes the larger one",
}
