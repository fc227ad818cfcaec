"""Expressions inside a formula: R's spelling to Python's, and the names that an expression uses.

Python expressions keep column names that are no Python identifiers in back-quotes; `readable_by_python`
swaps those for identifiers just before the expression is compiled.

A factor of a term is a column or an expression.  Both are text: a column its name, an expression the name that
`as_name` makes of it, which no column has.
"""

from __future__ import annotations

import ast
import keyword
import re
import unicodedata
from collections.abc import Collection, Iterable
from dataclasses import dataclass
from functools import lru_cache

from lmmsparse.errors import FormulaError
from lmmsparse.formula.accepted import check_accepted
from lmmsparse.formula.limits import shown
from lmmsparse.formula.scan import blank_literals

CONSTANTS = {"TRUE": "True", "FALSE": "False", "NULL": "None", "pi": "np.pi"}
FUNCTIONS = {"as.factor": "as_factor", "as.numeric": "as_numeric"}
MODULES = ("np", "contr")
# formulaic sees an expression as a quoted name that begins with one of these characters; the other stands for the
# back-quotes inside of it.
EXPRESSION = "\u2036"
BACK_QUOTE = "\u2035"

# Around the hexadecimal digits of a factor that is no plain word.
TOKEN = "\u2037"
TOKENS = re.compile(f"{TOKEN}([0-9a-f]*){TOKEN}")
PLAIN = re.compile(r"[A-Za-z_][A-Za-z_0-9]*")

# What `alias_of` makes of a name.
ALIAS = re.compile(r"column_[0-9a-f]*_")

PIECE = re.compile(
    r"(?P<quoted>`[^`]*`)|(?P<literal>\"[^\"]*\"|'[^']*')|(?P<number>\d[\w.]*)|(?P<word>\.?[^\W\d][\w.]*)|(?P<power>\^)"
)


@dataclass(frozen=True)
class ExpressionNames:
    """Names that a Python expression reads.

    Attributes
    ----------
    values : tuple of str
        Names used as values, ``x`` in ``log(x)``; dotted chains of attributes count by their first name.
    calls : tuple of str
        Names that are called, ``log`` in ``log(x)``.
    modules : tuple of str
        Namespaces whose members are used, ``np`` in ``np.floor(x)``.
    """

    values: tuple[str, ...]
    calls: tuple[str, ...]
    modules: tuple[str, ...]


@lru_cache(maxsize=1024)
def quoted(name: str) -> str:
    """The name as it stands in an expression: in back-quotes unless Python reads it as it is.

    Python folds some characters of identifiers into others (the micro sign into the Greek letter, for one).
    """
    plain = name.isidentifier() and re.fullmatch(r"\w+", name) and unicodedata.normalize("NFKC", name) == name
    return name if plain and not keyword.iskeyword(name) and not ALIAS.fullmatch(name) else f"`{name}`"


def plain_name(expression: str) -> str:
    """The expression for display: a quoted name loses its quotes, ``as_factor`` gets its dot back."""
    if re.fullmatch(r"`[^`]+`", expression):
        return expression[1:-1]
    for dotted, identifier in FUNCTIONS.items():
        expression = re.sub(rf"\b{identifier}\(", f"{dotted}(", expression)
    return expression


def as_name(expression: str) -> str:
    """The name under which formulaic is to look up an expression."""
    return EXPRESSION + expression.replace("`", BACK_QUOTE)


def is_expression(factor: str) -> bool:
    """Whether a factor is an expression, and no column."""
    return factor.startswith(EXPRESSION)


@lru_cache(maxsize=4096)
def token_of(factor: str) -> str:
    """The factor as formulaic is to know it: no character of it is one that another parser could read."""
    return factor if PLAIN.fullmatch(factor) else f"{TOKEN}{factor.encode(errors='surrogatepass').hex()}{TOKEN}"


def factor_of(token: str) -> str:
    """The factor whose token it is."""
    return TOKENS.sub(lambda found: bytes.fromhex(found[1]).decode(errors="surrogatepass"), token)


def readable(name: str) -> str:
    """A name made by `as_name` or `token_of`, or a column's name that formulaic made of such, as the user knows it."""
    return factor_of(name).replace(EXPRESSION, "").replace(BACK_QUOTE, "`")


def displayed(name: str) -> str:
    """`readable`, and as R spells it."""
    return plain_name(readable(name))


def written_factor(factor: str) -> str:
    """A factor as it stands in a formula."""
    return readable(factor) if is_expression(factor) else quoted(factor)


def names_of(*groups: Iterable[str]) -> tuple[str, ...]:
    """Distinct names in order of appearance."""
    return tuple(dict.fromkeys(name for group in groups for name in group))


def to_python(text: str, columns: Collection[str]) -> str:
    """Rewrite an R expression in Python's spelling.

    ``^`` becomes ``**``, ``TRUE`` becomes ``True``, ``pi`` the number unless a column is called so, ``as.factor``
    ``as_factor``, and names of columns that are no identifiers are put into back-quotes.  Text literals are left alone.
    """
    blanked = blank_literals(text)
    if "\n" in blanked:  # a name may hold one, too, and keeps it
        pieces = re.split(r"\s*\n\s*", blanked)
        ends = [found.span() for found in re.finditer(r"\s*\n\s*", blanked)]
        starts = [0, *(end for _, end in ends)]
        text = " ".join(text[start : start + len(piece)] for start, piece in zip(starts, pieces, strict=True))
        blanked = blank_literals(text)
    written: list[str] = []
    done = 0
    for piece in PIECE.finditer(blanked):
        start, end = piece.span()
        written.append(text[done:start])
        if piece.lastgroup == "power":
            written.append("**")
        elif piece.lastgroup == "word":
            written.append(_word(text[start:end], blanked[:start].rstrip(), blanked[end:].lstrip(), columns))
        else:
            written.append(text[start:end])
        done = end
    written.append(text[done:])
    return "".join(written).strip()


def canonical(text: str) -> str:
    """An R expression as the factors of terms have it, where the spacing does not count."""
    return formatted(to_python(text, ()))


def _word(word: str, before: str, after: str, columns: Collection[str]) -> str:
    if after.startswith("("):
        return FUNCTIONS.get(word, word)
    if before.endswith((")", "]", "`")) or (after.startswith("=") and not after.startswith("==")):
        return word  # an attribute of what stands before, or the name of an argument
    if word in columns or ALIAS.fullmatch(word):
        return quoted(word)
    root = word.split(".")[0]
    if "." in word and root not in columns and root not in MODULES:
        return quoted(word)
    return CONSTANTS.get(word, word)


def alias_of(name: str) -> str:
    """An identifier for a column with any name, a different one for each."""
    return f"column_{name.encode(errors='surrogatepass').hex()}_"


def readable_by_python(expression: str) -> tuple[str, dict[str, str]]:
    """Replace quoted names by identifiers.

    The identifier depends on the name alone, so that equal names have equal identifiers in different expressions.

    Returns
    -------
    expression : str
        Valid for `ast.parse` when the user's expression is.
    aliases : dict of str to str
        Identifier to the name that it stands for.
    """
    blanked = blank_literals(expression)
    aliases: dict[str, str] = {}
    written: list[str] = []
    done = 0
    for piece in re.finditer(r"`[^`]*`", blanked):
        start, end = piece.span()
        name = expression[start + 1 : end - 1]
        alias = alias_of(name)
        aliases[alias] = name
        written.append(f"{expression[done:start]} {alias} ")
        done = end
    written.append(expression[done:])
    return "".join(written), aliases


@lru_cache(maxsize=1024)
def formatted(expression: str) -> str:
    """The expression with the spacing of `ast.unparse`, so that the same expression always reads the same."""
    tree, aliases = parsed(expression)
    text = ast.unparse(tree).replace("\n", " ")
    for alias, name in aliases.items():
        text = text.replace(alias, f"`{name}`")
    return text


@lru_cache(maxsize=1024)
def parsed(expression: str) -> tuple[ast.Expression, dict[str, str]]:
    """Syntax tree of an expression and the aliases of its quoted names; neither is to be changed.

    Raises
    ------
    FormulaError
        The expression is no valid Python, or compares by ``&`` and ``|`` without parentheses, which Python
        reads otherwise than R does.
    """
    readable, aliases = readable_by_python(expression)
    try:
        readable = readable.strip()
        _check_escapes(readable)
        tree = ast.parse(readable, mode="eval")
        lines = readable.encode().split(b"\n")
    except (SyntaxError, ValueError, RecursionError, MemoryError) as error:
        raise FormulaError(
            f"{shown(expression)!r} is not a valid expression; inside functions a formula follows Python's syntax."
        ) from error
    for node in ast.walk(tree):
        if isinstance(node, ast.Name) and node.id not in aliases:
            # Python has folded the characters of the identifier; the column is called as it was written
            written = _source(lines, node)
            if written != node.id:
                aliases[node.id] = written
        if isinstance(node, ast.Compare) and any(map(_is_bitwise, [node.left, *node.comparators])):
            raise FormulaError(
                f"In {shown(expression)!r} put parentheses round each comparison, (a > 1) & (b > 1): "
                "Python binds & and | more tightly than comparisons."
            )
    check_accepted(tree, expression, aliases)
    return tree, aliases


def _check_escapes(readable: str) -> None:
    """Refuse escapes in texts that Python knows only with a warning."""
    for found in re.finditer(r"\\([0-7]{1,3}|.)", readable, re.DOTALL):
        escaped = found[1]
        octal = int(escaped, 8) if escaped[0] in "01234567" else 0
        if octal > 255 or escaped[0] not in "01234567\\'\"abfnrtvxNuU\n":
            raise ValueError(f"unknown escape {found[0]}")


def _source(lines: list[bytes], node: ast.Name) -> str:
    return lines[node.lineno - 1][node.col_offset : node.end_col_offset].decode()


def _is_bitwise(node: ast.AST) -> bool:
    return isinstance(node, ast.BinOp) and isinstance(node.op, ast.BitAnd | ast.BitOr)


@lru_cache(maxsize=1024)
def expression_names(expression: str) -> ExpressionNames:
    """Names that an expression reads, in order of appearance.

    Raises
    ------
    FormulaError
        The expression is no valid Python.
    """
    tree, aliases = parsed(expression)
    members = {id(node.value) for node in ast.walk(tree) if isinstance(node, ast.Attribute)}
    called = {id(node.func) for node in ast.walk(tree) if isinstance(node, ast.Call)}
    modules: list[str] = []
    values: list[str] = []
    calls: list[str] = []
    names = [node for node in ast.walk(tree) if isinstance(node, ast.Name)]
    for node in sorted(names, key=lambda name: (name.lineno, name.col_offset)):
        if id(node) in called:
            calls.append(node.id)
        elif id(node) in members:  # only a module has members
            modules.append(node.id)
        else:
            values.append(aliases.get(node.id, node.id))
    return ExpressionNames(names_of(values), names_of(calls), names_of(modules))
