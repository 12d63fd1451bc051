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
    found = json.loads(text[start + 1 :] if start >= 0 else text)
    if not isinstance(found, dict):
        msg = f"expected a JSON object last on stdout, got {text[-200:]!r}"
        raise ValueError(msg)
    return found


def run(script: Path, *, quick: bool) -> dict[str, object]:
    """What one benchmark printed, with its exit code and seconds."""
    command = [sys.executable, str(script), *(["--quick"] if quick else [])]
    start = time.monotonic()
    done = subprocess.run(command, stdout=subprocess.PIPE, text=True, check=False)
    seconds = round(time.monotonic() - start, 1)
    if done.returncode != 0:
        return {"exit_code": done.returncode, "seconds": seconds}
    return {**last_object(done.stdout), "seconds": seconds}


def main() -> None:
    """Run them one after another; exit code 1 if one failed."""
    parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
    parser.add_argument("--quick", action="store_true", help="at most 5 minutes each")
    parser.add_argument("names", nargs="*", help="only these, e.g. loop_overhead")
    arguments = parser.parse_args()
    scripts = [
        script
        for script in sorted(HERE.glob("*.py"))
        if script.name != Path(__file__).name
        and (not arguments.names or script.stem in arguments.names)
    ]
    results = {}
    for script in scripts:
        sys.stderr.write(f"{script.stem} …\n")
        results[script.stem] = run(script, quick=arguments.quick)
        sys.stderr.write(f"{script.stem}: {json.dumps(results[script.stem])}\n")
    sys.stdout.write(json.dumps(results, indent=1) + "\n")
    if any("exit_code" in result for result in results.values()):
        sys.exit(1)


if __name__ == "__main__":
    main()
