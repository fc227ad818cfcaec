"""Hostile and random formulas through parsing and the frame: what gets out, what hangs, what fails in foreign words.

Run as ``python scripts/fuzz_formulas.py [count] [seed]``.
"""

from __future__ import annotations

import random
import sys
import time
import warnings
from collections import Counter

import numpy as np

from lmmsparse.errors import LmmError
from lmmsparse.formula import parse_formula
from lmmsparse.frame import build_model_frame

ATOMS = [
    *"x z f y g 1 0 2.5 . -1 () [] {} None True".split(),
    *"np contr os open eval exec __import__ __class__ np.pi np.lib np.__builtins__ x.values 10**10**8 9e999 1j".split(),
    *"np.save('f',x) np.loadtxt('f') x.to_csv('f') [k*x\x20for\x20k\x20in\x20x] (lambda:x)() (x:=1) f'{x}' b'x'".split(
        " "
    ),
    "`x`",
    "`a b`",
    "'t'",
    '"t"',
    "größe",
    "\u2036x",
    "\u2037",
    "²",
    "\x1b[31m",
    "\x00",
    "9" * 5000,
    "`1`",
    "`~`",
]
CALLS = (
    "I log exp factor C scale center poly bs cr cc cs np.sin np.mean np.where np.isin np.nothing open eval getattr "
    "offset ns dummy as.factor as.numeric contr.sum C(f,contr.sum)"
).split()
BINARY = "+ - * / : ^ ** %in% | || == < & and ~ , @ // % if".split()


def expression(rng: random.Random, depth: int) -> str:
    """A random text that may be an expression."""
    kind = rng.random()
    if depth <= 0 or kind < 0.3:
        return rng.choice(ATOMS[:6] if rng.random() < 0.6 else ATOMS)
    if kind < 0.55:
        arguments = ", ".join(expression(rng, depth - 1) for _ in range(rng.randint(1, 3)))
        return f"{rng.choice(CALLS)}({arguments}{rng.choice(['', ', 2', ', df=4', ', levels=[1]'])})"
    if kind < 0.9:
        return f"{expression(rng, depth - 1)} {rng.choice(BINARY)} {expression(rng, depth - 1)}"
    if kind < 0.95:
        return f"({expression(rng, depth - 1)})"
    return f"{expression(rng, depth - 1)}.{rng.choice(['__class__', 'values', 'to_csv', '__globals__'])}"


def formula(rng: random.Random) -> str:
    """A random formula, often with a random term that can be read."""
    text = f"{rng.choice(['y', 'y', 'y', 'log(y)', 'x'])} ~ {expression(rng, rng.randint(1, 4))}"
    text += rng.choice([" + (1|g)", " + (1|g)", " + (x|g)", f" + ({expression(rng, 2)}|{expression(rng, 1)})"])
    if rng.random() < 0.15:
        place = rng.randrange(len(text))
        text = text[:place] + rng.choice(["(", ")", "`", "'", "\\", "\n", "*x" * 40, "(" * 200]) + text[place + 1 :]
    return text


def run(count: int, seed: int) -> Counter[str]:
    """Outcomes of so many formulas: accepted, refused, slow, escapes, foreign errors."""
    rng, outcomes = random.Random(seed), Counter[str]()
    numbers = np.random.default_rng(0)
    data = {"y": numbers.uniform(1, 2, 40), "x": numbers.normal(size=40), "z": numbers.normal(size=40)}
    data |= {"f": np.array(list("abcd"))[np.arange(40) % 4], "g": np.arange(40) % 5, "a b": numbers.normal(size=40)}
    before = {name: values.copy() for name, values in data.items()}
    build_model_frame(parse_formula("y ~ scale(x) + (1|g)", tuple(data)), data)  # imports come first
    watching = [True]

    def watch(event: str, arguments: tuple[object, ...]) -> None:
        if watching[0] and (
            event in ("exec", "os.system", "subprocess.Popen", "socket.connect", "os.remove")
            or (event == "open" and str(arguments[1] or "r")[0] in "wax")
        ):
            outcomes[f"escape {event} {arguments!r}"[:200]] += 1

    sys.addaudithook(watch)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for _ in range(count):
            text, start = formula(rng), time.perf_counter()
            try:
                build_model_frame(parse_formula(text, tuple(data)), data)
                outcomes["accepted"] += 1
            except LmmError:
                outcomes["refused"] += 1
            except Exception as error:
                outcomes[f"foreign {type(error).__name__}: {text!r}"[:300]] += 1
            if time.perf_counter() - start > 1:
                outcomes[f"slow {text!r}"[:300]] += 1
    watching[0] = False
    if any(not np.array_equal(values, data[name]) for name, values in before.items()):
        outcomes["escape: the data are changed"] += 1
    return outcomes


if __name__ == "__main__":
    found = run(int((sys.argv[1:] or ["100000"])[0]), int((sys.argv[2:] or ["1"])[0]))
    for outcome, times in found.most_common():
        print(times, outcome)
    sys.exit(any(outcome not in ("accepted", "refused") for outcome in found))
