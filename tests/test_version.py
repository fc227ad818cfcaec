"""The version stands in pyproject.toml; releases are dated in the changelog, newest first."""

from __future__ import annotations

import re
from datetime import date
from importlib.metadata import version

import lmmsparse
from tests.answers import ROOT


def text_of(name: str) -> str:
    return (ROOT / name).read_text(encoding="utf-8")


def numbers(text: str) -> tuple[int, ...]:
    return tuple(int(part) for part in text.split(".")[:3])


def test_the_version_is_that_of_pyproject() -> None:
    (declared,) = re.findall(r'^version = "(.*)"$', text_of("pyproject.toml"), re.M)
    assert lmmsparse.__version__ == version("lmmsparse") == declared
    assert "version:" not in text_of("CITATION.cff").removeprefix("cff-version:")


def test_releases_are_dated_and_in_order() -> None:
    heads = re.findall(r"^## (.*)$", text_of("CHANGELOG.md"), re.M)
    assert heads[0] == "[Unreleased]"
    releases = [re.fullmatch(r"\[(\d+\.\d+\.\d+)\] - (\d{4}-\d\d-\d\d)", head) for head in heads[1:]]
    assert all(releases)
    versions = [numbers(one[1]) for one in releases if one]
    dates = [date.fromisoformat(one[2]) for one in releases if one]
    assert versions == sorted(set(versions), reverse=True)
    assert dates == sorted(dates, reverse=True)
    assert versions[0] <= numbers(lmmsparse.__version__)
