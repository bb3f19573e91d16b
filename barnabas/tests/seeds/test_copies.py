"""Check the copies of the snippets, and `docs/seeds.md`, against the seed documents and the tests.

The documents are no part of the repository: what needs them looks in `../shared/seeds` beside it.
"""

from __future__ import annotations

import re
import textwrap
from pathlib import Path

import pytest

from .arena import HERE

REPOSITORY = HERE.parents[2]
SEEDS = REPOSITORY.parent / "shared" / "seeds"
PAGE = REPOSITORY / "docs" / "seeds.md"
HEADER = re.compile(r"# Document: ([a-z ]+) \((\d{3})\), lines (\d+) to (\d+)\. Verbatim below these three lines\.")
COPIES = sorted((HERE / "snippets").glob("*.py"))
with_seeds = pytest.mark.skipif(not SEEDS.is_dir(), reason="the seed documents are not beside the repository")


def body(copy: Path) -> str:
    """Return a copy without its three lines of header."""
    return copy.read_text(encoding="utf-8").split("\n", 3)[3]


def document(number: str) -> str:
    """Return the text of the document whose file name begins with a number."""
    (file,) = SEEDS.glob(f"{number}_*.txt")
    return file.read_text(encoding="utf-8")


def fenced(text: str, languages: set[str]) -> list[str]:
    """Return the blocks of code in some languages ("" for none), without the indentation of the list around them."""
    blocks = re.findall(r"^( *)```(\w*)[ \t]*\n(.*?)^\1```[ \t]*$", text, re.MULTILINE | re.DOTALL)
    return [textwrap.dedent(block) for _, language, block in blocks if language in languages]


def commands(text: str) -> list[str]:
    """Return the shell commands of a document, each on one line, without prompts, comments and typed input."""
    found = []
    for block in fenced(text, {"bash", "term", ""}):
        for line in re.sub(r"\\\n\s*", "", block).splitlines():
            command = re.sub(r"^triangle@LEARN:\S*\$ (/opt/kafka/bin\$ )?", "", line)
            command = re.sub(r"\s+(//|#) .*$", "", command).strip()
            if re.match(r"(docker|\./|/etc/|cd|ls|pip|kafka-[a-z-]+ )", command):
                found.append(command)
    return found


@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.stem)
def test_copy_is_python_and_run_by_a_test(copy: Path) -> None:
    """A copy has its header, is Python, and stands in the tests by name."""
    assert HEADER.fullmatch(copy.read_text(encoding="utf-8").partition("\n")[0])
    compile(body(copy), copy.name, "exec")
    assert copy.stem in (HERE / "test_snippets.py").read_text(encoding="utf-8")


@with_seeds
@pytest.mark.parametrize("copy", COPIES, ids=lambda copy: copy.stem)
def test_copy_equals_the_document(copy: Path) -> None:
    """A copy is, byte for byte, what stands in the lines that its header names."""
    header = HEADER.match(copy.read_text(encoding="utf-8"))
    assert header is not None
    _, number, first, last = header.groups()
    lines = document(number).split("\n")[int(first) - 1 : int(last)]
    assert body(copy) == textwrap.dedent("\n".join(lines) + "\n")


@with_seeds
def test_every_python_snippet_has_a_copy() -> None:
    """No Python of the documents is left out."""
    snippets = set()
    for file in SEEDS.glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        snippets |= set(fenced(text, {"python"}))
        snippets |= {block for block in fenced(text, {""}) if "import" in block}
    assert snippets == {body(copy) for copy in COPIES}


def test_page_names_tests_that_exist() -> None:
    """Each `file.py::test` on the page is there."""
    named = set(re.findall(r"`([\w/]+\.py)::(\w+)`", PAGE.read_text(encoding="utf-8")))
    assert len(named) > 10
    for file, test in named:
        path = REPOSITORY / file if "/" in file else HERE / file
        assert f"def {test}(" in path.read_text(encoding="utf-8"), f"{file}::{test}"


def test_page_numbers_its_rows_without_holes() -> None:
    """The rows of each document are numbered from 1 on, as the page's first table says."""
    page = PAGE.read_text(encoding="utf-8")
    for letter, first, last in re.findall(r"\| ([TACNB])(\d+) to \1(\d+) \|", page):
        numbers = [int(number) for number in re.findall(rf"^\| {letter}(\d+) \|", page, re.MULTILINE)]
        assert numbers == list(range(int(first), int(last) + 1))


@with_seeds
def test_page_has_every_command_of_the_documents() -> None:
    """Each shell command, each inline command of a table and each script of the list stands on the page."""
    page = PAGE.read_text(encoding="utf-8").replace("\\|", "|")
    asked = set(re.findall(r"appuser \d* *\d+ \w+ \d+ +\d+ (\S+)", document("004")))
    for file in SEEDS.glob("*.txt"):
        text = file.read_text(encoding="utf-8")
        asked |= set(commands(text)) | set(re.findall(r"^\|[^|]*\| `(kafka-[^`]*)`", text, re.MULTILINE))
    assert len(asked) > 80
    assert sorted(command for command in asked if command not in page) == []


@with_seeds
def test_page_has_every_name_of_the_platform() -> None:
    """Topics, Redis keys and tables of the architecture stand on the page."""
    text = document("001")
    names = set(re.findall(r'"(market_data[.:][^"]*)"', text)) | set(re.findall(r"\b(market_[a-z]+),", text))
    assert len(names) == 11
    page = PAGE.read_text(encoding="utf-8")
    assert sorted(name for name in names if f"`{name}`" not in page) == []
