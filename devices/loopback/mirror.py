"""Which Debian mirror this computer is set up with; the project itself names none."""

from __future__ import annotations

import os
import platform
import shutil
import subprocess
from collections.abc import Sequence
from urllib.parse import urlsplit

from workspace.errors import InputError

VARIABLE = "POCKETNAS_DEBIAN_MIRROR"
_QUESTION = "$(REPO_URI)|$(RELEASE)|$(COMPONENT)"


def debian_mirror() -> str | None:
    """``$POCKETNAS_DEBIAN_MIRROR``, else where apt gets Debian itself, else None (a default).

    Raises:
        InputError: If the variable holds no http(s) address.
    """
    chosen = os.environ.get(VARIABLE)
    if chosen:
        if not _is_web(chosen):
            msg = f"{VARIABLE} must be the http(s) address of a Debian mirror, got {chosen!r}"
            raise InputError(msg)
        return chosen
    try:
        system = platform.freedesktop_os_release()
    except OSError:
        return None
    if system.get("ID") != "debian":  # another system's mirror has no Debian
        return None
    return pick(_sources(), system.get("VERSION_CODENAME", ""))


def pick(sources: Sequence[str], codename: str) -> str | None:
    """The first web address among apt's ``URI|release|component`` that holds Debian itself.

    >>> pick(["http://a.example/debian-security/|trixie-security|main",
    ...       "https://b.example/tool|trixie|stable", "http://c.example/debian/|trixie|main"],
    ...      "trixie")
    'http://c.example/debian/'
    """
    releases = (codename,) if codename else ("testing", "unstable", "sid")
    for source in sources:
        address, _, rest = source.partition("|")
        release, _, component = rest.partition("|")
        if release in releases and component == "main" and _is_web(address):
            return address
    return None


def _sources() -> list[str]:
    if not shutil.which("apt-get"):
        return []
    command = ["apt-get", "indextargets", "--no-release-info", "--format", _QUESTION]
    done = subprocess.run(
        [*command, "Created-By: Packages"],
        capture_output=True,
        text=True,
        timeout=30,
        check=False,
    )
    return done.stdout.split()


def _is_web(address: str) -> bool:
    parts = urlsplit(address)
    return parts.scheme in ("http", "https") and bool(parts.netloc)
