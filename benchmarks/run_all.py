"""Runs every benchmark of this folder and prints what each printed, as one JSON object.

Each one's result is on stderr too as soon as it is there, so that a run that is stopped has lost
none of those before.
"""

from __future__ import annotations

import argparse
import json
import subprocess
import sys
import time
from pathlib import Path

HERE = Path(__file__).resolve().parent


def last_object(text: str) -> dict[str, object]:
    """The JSON object that ends ``text``.

    Raises:
        ValueError: If there is none.
    """
    start = text.rfind("\n{")
    msg = f"expected a JSON object last on stdout, got {text[-200:]!r}"
    try:
        found = json.loads(text[start + 1 :])
    except ValueError as error:
        raise ValueError(msg) from error
    if not isinstance(found, dict):
        raise ValueError(msg)
    return found


def run(script: Path, *, quick: bool) -> dict[str, object]:
    """What one benchmark printed, and its seconds; ``failure`` says why there is nothing."""
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = round(time.monotonic() - start, 1)
    if done.returncode != 0:
        return {"failure": f"ended with exit code {done.returncode}", "seconds": seconds}
    try:
        return {**last_object(done.stdout), "seconds": seconds}
    except ValueError as error:
        return {"failure": str(error), "seconds": seconds}


def scripts() -> dict[str, Path]:
    """All benchmarks by name."""
    own = Path(__file__).name
    return {path.stem: path for path in sorted(HERE.glob("*.py")) if path.name != own}


def main() -> None:
    """Run them one after another; exit code 1 if one failed, 2 for a name that is none's."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="at most 5 minutes each")
    parser.add_argument("names", nargs="*", help="only these, e.g. loop_overhead")
    arguments = parser.parse_args()
    known = scripts()
    if unknown := [name for name in arguments.names if name not in known]:
        parser.error(f"there is no benchmark {unknown[0]!r}; there are {', '.join(known)}")
    results = {}
    for name in arguments.names or known:
        sys.stderr.write(f"{name} …\n")
        results[name] = run(known[name], quick=arguments.quick)
        sys.stderr.write(f"{name}: {json.dumps(results[name])}\n")
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    if any("failure" in result for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
