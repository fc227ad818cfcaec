"""Tokens of a formula's right-hand side as nested sums of products.

Only the structure that bars need is made explicit: what is added, what is multiplied, what is in parentheses.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass

from lmmsparse.errors import FormulaError
from lmmsparse.formula.pointing import pointed
from lmmsparse.formula.tokens import Token

BARS = ("|", "||")
PRODUCTS = ("*", "/", ":", "^", "**", "%in%")


@dataclass(frozen=True)
class Group:
    """What stands between a pair of parentheses.

    Attributes
    ----------
    items : tuple of Item
    start, end : int
        Its place in the formula, ``end`` exclusive; the keyword belongs to it.
    keyword : str
        The name before the parentheses, ``"cs"`` for ``cs(x | g)``; empty when there is none.
    """

    items: tuple[Token | Group, ...]
    start: int
    end: int
    keyword: str = ""


Item = Token | Group


@dataclass(frozen=True)
class Part:
    """A summand: a sign and alternating operands and operators.

    Attributes
    ----------
    negative : bool
        It is subtracted.
    items : tuple of Item
        Operand, operator, operand, ...
    """

    negative: bool
    items: tuple[Item, ...]

    @property
    def single(self) -> Item | None:
        """The operand, when there is only one."""
        return self.items[0] if len(self.items) == 1 else None


def nested(pieces: Sequence[Token], text: str) -> tuple[Item, ...]:
    """Put the tokens between parentheses into groups."""
    levels: list[list[Item]] = [[]]
    openers: list[Token] = []
    keyword: Token | None = None
    for piece in pieces:
        if piece.kind == "keyword":
            keyword = piece
        elif piece.kind != "bracket":
            levels[-1].append(piece)
        elif piece.text == "(":
            levels.append([])
            openers.append(keyword or piece)
            keyword = None
        elif piece.text == ")":
            items = tuple(levels.pop())
            opener = openers.pop()
            if not items:
                raise FormulaError(pointed("There is nothing between these parentheses.", text, opener.start))
            name = opener.text if opener.kind == "keyword" else ""
            levels[-1].append(Group(items, opener.start, piece.end, name))
        else:
            raise FormulaError(pointed("Square brackets have no meaning here.", text, piece.start))
    return tuple(levels[0])


def is_operator(item: Item, symbols: Sequence[str]) -> bool:
    """Whether the item is one of these operators."""
    return isinstance(item, Token) and item.kind == "operator" and item.text in symbols


def walk(items: Sequence[Item]) -> Iterator[Token]:
    """All tokens, those in parentheses included."""
    for item in items:
        if isinstance(item, Group):
            yield from walk(item.items)
        else:
            yield item


def groups(items: Sequence[Item]) -> Iterator[Group]:
    """All groups, those in others included."""
    for item in items:
        if isinstance(item, Group):
            yield item
            yield from groups(item.items)


def find(items: Sequence[Item], symbols: Sequence[str]) -> list[int]:
    """Positions in ``items`` of these operators, parentheses not entered."""
    return [i for i, item in enumerate(items) if is_operator(item, symbols)]


def sum_parts(items: Sequence[Item], text: str, end: int) -> list[Part]:
    """Split a sum into its parts and check that operands and operators alternate.

    Parameters
    ----------
    items : sequence of Item
        A non-empty right-hand side, or the inside of parentheses.
    text : str
        The formula, for messages.
    end : int
        Where ``items`` end in it.

    Raises
    ------
    FormulaError
        An operand or an operator is missing, or an operator is unknown.
    """
    parts: list[Part] = []
    current: list[Item] = []
    negative = False
    signed_at: int | None = None
    doubled: int | None = None
    for item in items:
        if is_operator(item, ("+", "-")) and not _awaits_operand(current):
            if current:
                parts.append(Part(negative, tuple(current)))
                current, negative = [], False
            elif signed_at is not None:
                doubled = item.start
            negative ^= is_operator(item, ("-",))
            signed_at = item.start
        else:
            if negative and doubled is not None and not (isinstance(item, Token) and item.kind == "number"):
                # R reads "a + -b" as a and b, a sum of terms as a without b: neither is to be guessed
                message = "Two signs in a row; write I(-x) for the negative of a variable, or one sign."
                raise FormulaError(pointed(message, text, doubled))
            _check_next(current, item, text)
            current.append(item)
            signed_at = doubled = None
    if not current or _awaits_operand(current):
        place = current[-1].start if current else signed_at
        raise FormulaError(pointed("Nothing follows this operator.", text, end if place is None else place))
    parts.append(Part(negative, tuple(current)))
    return parts


def _awaits_operand(current: Sequence[Item]) -> bool:
    return bool(current) and is_operator(current[-1], PRODUCTS)


def _check_next(current: Sequence[Item], item: Item, text: str) -> None:
    is_sign_or_other = isinstance(item, Token) and item.kind == "operator" and item.text not in PRODUCTS
    if is_sign_or_other:
        what = "The sign" if is_operator(item, ("+", "-")) else "The operator"
        where = " cannot stand here" if is_operator(item, ("+", "-")) else " has no meaning in a formula"
        symbol = item.text if isinstance(item, Token) else ""
        raise FormulaError(pointed(f"{what} {symbol!r}{where}.", text, item.start))
    expects_operand = not current or is_operator(current[-1], PRODUCTS)
    if is_operator(item, PRODUCTS) and expects_operand:
        raise FormulaError(pointed("There is no term before this operator.", text, item.start))
    if not is_operator(item, PRODUCTS) and not expects_operand:
        raise FormulaError(pointed("An operator is missing before this.", text, item.start))
