"""What the README tells people to type exists."""

import re
import shlex
import subprocess
import sys
from functools import cache
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
README = (ROOT / "README.md").read_text()
COMMANDS = sorted(
    {match for match in re.findall(r"`(pocketnas [^`]+)`", README) if not match.endswith(" …")}
)


@cache
def help_of(*words: str) -> str:
    command = [sys.executable, "-m", "pocketnas", *words, "--help"]
    return subprocess.run(command, check=True, capture_output=True, text=True).stdout


@pytest.mark.parametrize("line", COMMANDS)
def test_every_command_in_the_readme_has_the_options_it_is_shown_with(line):
    words = shlex.split(line)[1:]
    group = help_of()
    assert words[0] in group
    names = [words[0]]
    if "COMMAND" in help_of(words[0]) and len(words) > 1 and not words[1].startswith("-"):
        names.append(words[1])
    text = help_of(*names)
    for word in words:
        if word.startswith("-"):
            assert word in text


def test_the_readme_shows_commands():
    assert len(COMMANDS) >= 8


@pytest.mark.parametrize("link", re.findall(r"\]\(([^)#]+)\)", README))
def test_every_link_of_the_readme_leads_somewhere(link):
    assert link.startswith("http") or (ROOT / link).exists()
