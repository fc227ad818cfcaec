"""The Python in README.md and docs/ runs, file by file from top to bottom, and prints what stands below it."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests.answers import ROOT

#: What the texts begin with that are printed in full.
PRINTED = ("Linear mixed model", "The fit is singular", "  contrast")


def blocks(page: Path, language: str) -> list[str]:
    return re.findall(rf"^```{language}\n(.*?)^```$", page.read_text(encoding="utf-8"), re.S | re.M)


PAGES = [page for page in (ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))) if blocks(page, "python")]


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.stem)
def test_python_of_a_page_is_a_script_that_runs(page: Path, tmp_path: Path) -> None:
    script = tmp_path / f"{page.stem}.py"
    script.write_text("\n".join(blocks(page, "python")), encoding="utf-8")
    command = [sys.executable, "-X", "utf8", str(script)]
    ran = subprocess.run(command, capture_output=True, encoding="utf-8", timeout=120, check=False)
    assert ran.returncode == 0, ran.stderr
    for text in blocks(page, "text"):
        if text.startswith(PRINTED):
            assert text.strip() in ran.stdout
