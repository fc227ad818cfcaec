"""Whether an expression stays within the closed list of what a formula can say; nothing is evaluated before.

What is refused here cannot be reached by any spelling: attributes, subscripts, comprehensions, lambdas and all the rest
of Python are no part of the language, and a name is a column or one of the listed functions.
"""

from __future__ import annotations

import ast
from collections.abc import Iterator, Mapping

from lmmsparse.errors import FormulaError
from lmmsparse.formula.functions import CALLS, CONTRASTS, INSTEAD, NUMPY_CALLS, NUMPY_CONSTANTS, Signature
from lmmsparse.formula.limits import INTEGER, LITERAL, NODE_DEPTH, NODES, NUMBER, shown

ARITHMETIC = (ast.Add, ast.Sub, ast.Mult, ast.Div, ast.Pow, ast.Mod, ast.FloorDiv)
LOGICAL = (ast.BitAnd, ast.BitOr)
SIGNS = (ast.USub, ast.UAdd, ast.Invert)
COMPARISONS = (ast.Eq, ast.NotEq, ast.Lt, ast.LtE, ast.Gt, ast.GtE)
ANOTHER_WAY = {
    ast.BoolOp: "write (a) & (b) for 'and', (a) | (b) for 'or'",
    ast.Attribute: "a formula has no attributes or methods; NumPy's elementwise functions are np.name(x)",
    ast.Subscript: "a formula has no subscripts; make the column in the data first",
    ast.IfExp: "write np.where(condition, a, b)",
    ast.List: "a list stands as an argument only, as in factor(x, levels=['a', 'b'])",
    ast.Tuple: "a list stands as an argument only, as in factor(x, levels=['a', 'b'])",
}
OTHERWISE = "a formula has columns, numbers, texts, arithmetic, comparisons and the listed functions; do it in the data"


def check_accepted(tree: ast.Expression, expression: str, aliases: Mapping[str, str]) -> None:
    """Check every node.

    Raises
    ------
    FormulaError
        Something is no part of the language, an argument does not fit, or a limit is exceeded.
    """
    _check_size(tree, expression)
    for node in _operands(tree.body):
        problem = _problem(node, aliases)
        if problem:
            raise FormulaError(f"In {shown(expression)!r}: {problem}.")


def _check_size(tree: ast.Expression, expression: str) -> None:
    count = depth = 0
    level: list[ast.AST] = [tree]  # breadth first: a deep tree must not recurse
    while level:
        count, depth = count + len(level), depth + 1
        if count > NODES or depth > NODE_DEPTH:
            raise FormulaError(
                f"The expression {shown(expression)!r} is too large: it can have {NODES} parts, nested {NODE_DEPTH} "
                "deep; make a column of it in the data."
            )
        level = [child for node in level for child in ast.iter_child_nodes(node)]


def _operands(node: ast.expr) -> Iterator[ast.expr]:
    """The nodes that are evaluated; literals of calls, and what is called, are checked with their call."""
    yield node
    if isinstance(node, ast.BinOp):
        children = [node.left, node.right]
    elif isinstance(node, ast.UnaryOp):
        children = [node.operand]
    elif isinstance(node, ast.Compare):
        children = [node.left, *node.comparators]
    elif isinstance(node, ast.Call):
        children = [argument for argument in _arguments(node).values() if not is_literal(argument)]
        children = [child for child in children if not is_contrast(child)]
    else:
        children = []
    for child in children:
        yield from _operands(child)


def _problem(node: ast.expr, aliases: Mapping[str, str]) -> str:
    if isinstance(node, ast.Constant):
        return _constant_problem(node)
    if isinstance(node, ast.Name):
        return ""
    if isinstance(node, ast.BinOp):
        return "" if isinstance(node.op, ARITHMETIC + LOGICAL) else "this operator has no meaning in a formula"
    if isinstance(node, ast.UnaryOp):
        return "" if isinstance(node.op, SIGNS) else "write ~(a > 1) for 'not'"
    if isinstance(node, ast.Compare):
        if len(node.ops) > 1:
            return "write (a < b) & (b < c) for comparisons in a row"
        return "" if isinstance(node.ops[0], COMPARISONS) else "write np.isin(x, ['a', 'b']) for 'in'"
    if isinstance(node, ast.Call):
        return _call_problem(node, aliases)
    if isinstance(node, ast.Attribute) and _module(node) == "np" and node.attr in NUMPY_CONSTANTS:
        return ""
    if isinstance(node, ast.Attribute) and _module(node):
        return f"{ast.unparse(node)} has no meaning here"
    return ANOTHER_WAY.get(type(node), OTHERWISE)


def _constant_problem(node: ast.Constant) -> str:
    value = node.value
    if isinstance(value, int) and abs(value) > INTEGER:
        return f"whole numbers reach to {INTEGER}; write a larger one as 1e20"
    if isinstance(value, float) and abs(value) > NUMBER:
        return f"numbers reach to {NUMBER:g}"
    if isinstance(value, str) and len(value) > LITERAL:
        return f"a text has {LITERAL} characters at most"
    return "" if value is None or isinstance(value, bool | int | float | str) else OTHERWISE


def _module(node: ast.expr) -> str:
    if isinstance(node, ast.Attribute) and isinstance(node.value, ast.Name) and node.value.id in ("np", "contr"):
        return node.value.id
    return ""


def _call_problem(node: ast.Call, aliases: Mapping[str, str]) -> str:
    function = node.func
    if _module(function) == "np":
        assert isinstance(function, ast.Attribute)
        if function.attr not in NUMPY_CALLS:
            return (
                f"np.{function.attr} is none of the functions that a formula can call: {', '.join(sorted(NUMPY_CALLS))}"
            )
        return _argument_problem(f"np.{function.attr}", node, NUMPY_CALLS[function.attr])
    if not isinstance(function, ast.Name) or function.id in aliases:
        return "only the listed functions can be called, by their names"
    if function.id in CALLS:
        return _argument_problem(function.id, node, CALLS[function.id])
    return ""  # an unknown name: who knows the columns says so, and points at it


def _argument_problem(name: str, node: ast.Call, signature: Signature) -> str:
    positional, parameters = node.args, signature.parameters
    if any(isinstance(argument, ast.Starred) for argument in positional) or any(k.arg is None for k in node.keywords):
        return f"{name}() takes its arguments one by one, without stars"
    if len(positional) > len(parameters):
        return f"{name}() takes {len(parameters)} arguments at most, {', '.join(parameters) or 'none'}"
    given = dict(zip(parameters, positional, strict=False))
    for keyword in node.keywords:
        argument = str(keyword.arg)
        if argument not in parameters or not signature.named:
            known = ", ".join(parameters) if signature.named else "without names"
            return f"{name}() has no argument {shown(argument)!r}; its arguments are {known}"
        if argument in given:
            return f"{name}() gets {argument!r} twice"
        given[argument] = keyword.value
    missing = [parameter for parameter in parameters[: signature.required] if parameter not in given]
    if missing:
        return f"{name}() needs {', '.join(missing)}"
    for argument, value in given.items():
        if argument == "contrasts" and name == "C" and is_contrast(value):
            problem = _contrast_problem(value)
        elif (
            argument == "contrasts"
            and name == "C"
            and not (isinstance(value, ast.Constant) and isinstance(value.value, str | None))
        ):
            problem = "the contrasts of C() are one of " + ", ".join(f"contr.{coding}" for coding in CONTRASTS)
        elif argument in signature.literals and not is_literal(value):
            problem = f"{argument} of {name}() must be written out: a number, a text or a list of them"
        else:
            problem = _literal_problem(value, name, argument, dict(signature.bounds).get(argument))
        if problem:
            return problem
    return ""


def _literal_problem(node: ast.expr, name: str, argument: str, bound: int | None) -> str:
    if not is_literal(node):
        return ""
    for part in ast.walk(node):
        if isinstance(part, ast.Constant) and (problem := _constant_problem(part)):
            return problem
    if bound is not None:
        value = ast.literal_eval(node)
        if value is not None and not (isinstance(value, int) and abs(value) <= bound):
            return f"{argument} of {name}() must be a whole number up to {bound}"
    return ""


def is_literal(node: ast.expr) -> bool:
    """Whether it is a number, a text, True, False, None, or a list of such."""
    if isinstance(node, ast.Constant):
        return True
    if isinstance(node, ast.UnaryOp) and isinstance(node.op, ast.USub | ast.UAdd):
        operand = node.operand
        return isinstance(operand, ast.Constant) and type(operand.value) in (int, float)
    return isinstance(node, ast.List | ast.Tuple) and all(map(is_literal, node.elts))


def is_contrast(node: ast.expr) -> bool:
    """Whether it is ``contr.name`` or ``contr.name(...)``."""
    return _module(node.func if isinstance(node, ast.Call) else node) == "contr"


def _contrast_problem(node: ast.expr) -> str:
    target = node.func if isinstance(node, ast.Call) else node
    assert isinstance(target, ast.Attribute)
    if target.attr not in CONTRASTS:
        other = "; contr.sdif is called contr.diff here" if target.attr == "sdif" else ""
        return f"there is no contr.{target.attr}; there are {', '.join(f'contr.{name}' for name in CONTRASTS)}{other}"
    return _argument_problem(f"contr.{target.attr}", node, CONTRASTS[target.attr]) if isinstance(node, ast.Call) else ""


def _arguments(node: ast.Call) -> dict[str, ast.expr]:
    named = {str(keyword.arg): keyword.value for keyword in node.keywords}
    return {**{str(i): argument for i, argument in enumerate(node.args)}, **named}


def instead_of(name: str, tree: ast.Expression) -> str:
    """How a function that R has is said here, with the arguments of its call; empty when there is nothing to say."""
    if name not in INSTEAD:
        return ""
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and isinstance(node.func, ast.Name) and node.func.id == name:
            given = [shown(ast.unparse(argument)) for argument in [*node.args, *(k.value for k in node.keywords)]]
            return f" {INSTEAD[name].format(*given, *['...'] * 3)}."
    return ""
