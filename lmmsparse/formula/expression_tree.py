"""The tree of an expression: a closed list of nodes, made before anything is evaluated.

A formula is data.  It may come from a stranger, a file or a web form; what is not in this list (attributes, subscripts,
lambdas, comprehensions, names of the surrounding program) cannot be written, and its cost is bounded.
"""

from __future__ import annotations

import ast
from dataclasses import dataclass

from lmmsparse.errors import FormulaError
from lmmsparse.formula.pointing import shortened

# Nodes on the way from the root of an expression to a leaf, and all its nodes.
DEEPEST, MOST_NODES = 120, 3000
# Digits of a whole number.
MOST_DIGITS = 15
# Members of NumPy that a formula may call, all of them element by element, and its numbers.
NUMPY = frozenset(
    "abs absolute add arccos arccosh arcsin arcsinh arctan arctan2 arctanh cbrt ceil clip cos cosh deg2rad degrees "
    "divide exp exp2 expm1 fabs fix float64 floor floor_divide fmax fmin hypot isfinite isinf isnan log log10 log1p log2 "
    "logaddexp logical_and logical_not logical_or logical_xor maximum minimum mod multiply negative power rad2deg "
    "radians reciprocal remainder rint round sign sin sinh sqrt square subtract tan tanh true_divide trunc where".split()
)
NUMBERS = {"np.pi": 3.141592653589793, "np.e": 2.718281828459045, "np.inf": float("inf"), "np.nan": float("nan")}
CONTRASTS = frozenset("treatment sum helmert poly SAS sas diff custom".split())
UNARY = {ast.USub: "-", ast.UAdd: "+", ast.Invert: "~", ast.Not: "not"}
BINARY = {
    ast.Add: "+",
    ast.Sub: "-",
    ast.Mult: "*",
    ast.Div: "/",
    ast.FloorDiv: "//",
    ast.Mod: "%",
    ast.Pow: "**",
    ast.BitAnd: "&",
    ast.BitOr: "|",
    ast.BitXor: "^",
}
COMPARISONS = {
    ast.Eq: "==",
    ast.NotEq: "!=",
    ast.Lt: "<",
    ast.LtE: "<=",
    ast.Gt: ">",
    ast.GtE: ">=",
    ast.In: "in",
    ast.NotIn: "not in",
}


@dataclass(frozen=True)
class Literal:
    """A number, text, True, False or None."""

    value: float | int | str | bool | None


@dataclass(frozen=True)
class Name:
    """A column, or a coding of contrasts such as ``contr.sum``."""

    name: str


@dataclass(frozen=True)
class Unary:
    """A sign or a negation."""

    symbol: str
    operand: Node


@dataclass(frozen=True)
class Binary:
    """Arithmetic, or "and" and "or" of logical values."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Comparison:
    """``a < b``."""

    symbol: str
    left: Node
    right: Node


@dataclass(frozen=True)
class Call:
    """A function with its arguments; ``text`` is how it reads, by which a transform finds what it has learned."""

    function: str
    arguments: tuple[Node, ...]
    keywords: tuple[tuple[str, Node], ...]
    text: str


@dataclass(frozen=True)
class Items:
    """``[1, 2]`` or ``(1, 2)``."""

    items: tuple[Node, ...]


@dataclass(frozen=True)
class Pairs:
    """``{"a": [1, 0]}``."""

    pairs: tuple[tuple[Node, Node], ...]


Node = Literal | Name | Unary | Binary | Comparison | Call | Items | Pairs


def expression_tree(tree: ast.Expression, aliases: dict[str, str], expression: str) -> Node:
    """The tree of an expression that Python has parsed.

    Parameters
    ----------
    tree : ast.Expression
    aliases : dict of str to str
        Identifier to the quoted name that it stands for.
    expression : str
        As it was written, for messages.

    Raises
    ------
    FormulaError
        It holds something that is not in the list, or is too deep or too long.
    """
    count = 0

    def refused(what: str) -> FormulaError:
        return FormulaError(
            f"{shortened(expression)!r} holds {what}. A formula may hold columns, numbers, text, arithmetic, "
            "comparisons and the listed functions; compute anything else in the data, as a column of its own."
        )

    def literal(value: object) -> Node:
        if isinstance(value, int) and not isinstance(value, bool) and abs(value) >= 10**MOST_DIGITS:
            raise refused(f"a whole number of more than {MOST_DIGITS} digits")
        if value is None or isinstance(value, (bool, int, float, str)):
            return Literal(value)
        raise refused(f"a literal of type {type(value).__name__}")

    def member(node: ast.Attribute) -> str:
        if isinstance(node.value, ast.Name) and node.value.id in ("np", "contr") and node.value.id not in aliases:
            allowed = NUMPY if node.value.id == "np" else CONTRASTS
            name = f"{node.value.id}.{node.attr}"
            if node.attr in allowed or name in NUMBERS:
                return name
            raise refused(f"{name}, which is none of {', '.join(sorted(f'{node.value.id}.{one}' for one in allowed))}")
        raise refused(f"the attribute .{node.attr}")

    def visit(node: ast.AST, depth: int) -> Node:
        nonlocal count
        count += 1
        if depth > DEEPEST:
            raise refused(f"more than {DEEPEST} levels of parentheses and operators; divide it into several terms")
        if count > MOST_NODES:
            raise refused(f"more than {MOST_NODES} parts; divide it into several terms")
        match node:
            case ast.Constant():
                return literal(node.value)
            case ast.Name():
                return Name(aliases.get(node.id, node.id))
            case ast.Attribute():
                name = member(node)
                return Literal(NUMBERS[name]) if name in NUMBERS else Name(name)
            case ast.UnaryOp():
                return Unary(UNARY[type(node.op)], visit(node.operand, depth + 1))
            case ast.BinOp() if type(node.op) in BINARY:
                return Binary(BINARY[type(node.op)], visit(node.left, depth + 1), visit(node.right, depth + 1))
            case ast.BoolOp():
                raise refused("'and' or 'or', which have no meaning for columns; write & and |")
            case ast.Compare() if len(node.ops) == 1 and type(node.ops[0]) in COMPARISONS:
                symbol = COMPARISONS[type(node.ops[0])]
                return Comparison(symbol, visit(node.left, depth + 1), visit(node.comparators[0], depth + 1))
            case ast.Compare() if len(node.ops) > 1:
                raise refused("a chain of comparisons; write (a < b) & (b < c)")
            case ast.Call():
                return call(node, depth)
            case ast.List() | ast.Tuple():
                return Items(tuple(visit(item, depth + 1) for item in node.elts))
            case ast.Dict():
                pairs = zip(node.keys, node.values, strict=True)
                return Pairs(tuple((visit(key, depth + 1), visit(value, depth + 1)) for key, value in pairs if key))
            case _:
                raise refused(WORDS.get(type(node), f"{type(node).__name__}, which has no meaning here"))

    def call(node: ast.Call, depth: int) -> Node:
        match node.func:
            case ast.Name():
                function = aliases.get(node.func.id, node.func.id)
            case ast.Attribute():
                function = member(node.func)
            case _:
                raise refused("a call of something that is no function")
        if any(keyword.arg is None for keyword in node.keywords):
            raise refused("**, which has no meaning before an argument")
        arguments = tuple(visit(argument, depth + 1) for argument in node.args)
        keywords = tuple((str(keyword.arg), visit(keyword.value, depth + 1)) for keyword in node.keywords)
        return Call(function, arguments, keywords, ast.unparse(node))

    return visit(tree.body, 0)


WORDS: dict[type[ast.AST], str] = {
    ast.Subscript: "a subscript",
    ast.Lambda: "a lambda",
    ast.ListComp: "a comprehension",
    ast.SetComp: "a comprehension",
    ast.DictComp: "a comprehension",
    ast.GeneratorExp: "a comprehension",
    ast.JoinedStr: "an f-string",
    ast.NamedExpr: "an assignment",
    ast.IfExp: "'if' and 'else'; write np.where(condition, a, b)",
    ast.Starred: "*, which has no meaning before an argument",
    ast.Set: "a set; write a list",
    ast.MatMult: "a matrix product",
}
