"""The keys by which phones know this computer: adb's own where it has some, else one of ours."""

from __future__ import annotations

import base64
import fcntl
import getpass
import logging
import os
import platform
import tempfile
from contextlib import suppress
from pathlib import Path

from devices.device import DevicePermanentError
from workspace.home import home

_LOG = logging.getLogger(__name__)


class Key:
    """One of this computer's keys; an ``adb_wire.Signer``.

    Args:
        path: Of the private key; the public one is beside it, or is made from it, as adb does.

    Raises:
        ValueError: If it is no RSA key in PEM form, or has a password.
        OSError: If it cannot be read.
    """

    def __init__(self, path: Path) -> None:
        from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey
        from cryptography.hazmat.primitives.serialization import load_pem_private_key

        try:
            private = load_pem_private_key(path.read_bytes(), None)
        except TypeError as error:
            msg = f"{path} has a password"
            raise ValueError(msg) from error
        if not isinstance(private, RSAPrivateKey) or private.key_size != _BITS:
            msg = f"{path} is no RSA key of {_BITS} bits"
            raise ValueError(msg)
        self._private = private
        self._public = _public_key(path)

    def sign(self, token: bytes) -> bytes:
        """See ``Signer.sign``."""
        from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
        from cryptography.hazmat.primitives.asymmetric.utils import Prehashed
        from cryptography.hazmat.primitives.hashes import SHA1

        return self._private.sign(token, PKCS1v15(), Prehashed(SHA1()))

    def public_key(self) -> bytes:
        """See ``Signer.public_key``."""
        return self._public


_BITS = 2048


def signers(device: str = "adb") -> list[Key]:
    """One for each key, adb's first; a key is made only where there is none.

    Raises:
        DevicePermanentError: If there is none and none can be made.
    """
    found = []
    for path in key_files():
        try:
            found.append(Key(path))
        except (ValueError, OSError) as error:
            _LOG.warning("the adb key %s cannot be used: %s", path, error)
    if found:
        return found
    try:
        return [Key(_made())]
    except (ValueError, OSError) as error:
        msg = f"no key to show to phones could be made: {error}"
        raise DevicePermanentError(device, msg) from error


def key_files() -> list[Path]:
    """Private keys that there are: of ``ADB_VENDOR_KEYS``, of adb, and ours."""
    candidates: list[Path] = []
    for text in os.environ.get("ADB_VENDOR_KEYS", "").split(os.pathsep):
        path = Path(text).expanduser()
        if text and path.is_dir():
            candidates += sorted(path.glob("*.adb_key"))
        elif text:
            candidates.append(path)
    candidates += [_adb_folder() / "adbkey", home() / "keys" / "adbkey"]
    return [path for path in dict.fromkeys(candidates) if path.is_file()]


def _adb_folder() -> Path:
    """Where adb keeps its own."""
    return Path(os.environ.get("ANDROID_USER_HOME") or "~/.android").expanduser()


def _public_key(path: Path) -> bytes:
    beside = path.with_name(path.name + ".pub")
    with suppress(OSError):
        content = beside.read_bytes().strip()
        if content:
            return content
    from adb_shell.auth.keygen import encode_pubkey

    who = f" {_user()}@{platform.node() or 'unknown'}"
    return base64.b64encode(encode_pubkey(str(path))) + who.encode()


def _user() -> str:
    try:
        return getpass.getuser()
    except (KeyError, OSError):
        return "unknown"


def _made() -> Path:
    """A new key, whole under its name or not there; by one process only."""
    from adb_shell.auth.keygen import keygen

    path = home() / "keys" / "adbkey"
    path.parent.mkdir(parents=True, exist_ok=True)
    with (path.parent / ".lock").open("a") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if path.is_file():
            return path
        with tempfile.TemporaryDirectory(dir=path.parent) as folder:  # nobody else may look in
            keygen(f"{folder}/adbkey")
            Path(f"{folder}/adbkey").chmod(0o600)
            Path(f"{folder}/adbkey.pub").replace(path.with_name("adbkey.pub"))
            Path(f"{folder}/adbkey").replace(path)
    return path
