import ctypes
import json
import os
import resource
import subprocess
import sys

import numpy as np
import pytest

from training import freed_memory
from training.freed_memory import freed_memory_kept

BYTES = freed_memory.LARGEST_KEPT_BYTES * 3 // 4
"""Of an array."""

pytestmark = pytest.mark.skipif(
    not freed_memory._is_glibc(), reason="the C library is not glibc, whose allocator this is of"
)

FAULTS = f"""
import json, resource
import numpy as np
from training.freed_memory import freed_memory_kept

def pages():
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        four = [np.ones({BYTES} // 8) for _ in range(4)]
        del four
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

pages()
without = pages()
with freed_memory_kept():
    pages()
    print(json.dumps([without, pages()]))
"""
"""Four at a time are more than glibc keeps by itself."""


def resident_bytes():
    with open("/proc/self/statm") as file:
        return int(file.read().split()[1]) * resource.getpagesize()


def test_arrays_get_the_pages_of_those_before_them():
    command = [sys.executable, "-c", FAULTS]
    told = subprocess.run(command, capture_output=True, text=True, check=True)
    without, kept = json.loads(told.stdout)
    assert kept < 0.1 * without


@freed_memory_kept()
def resident_before_an_error(seen):
    np.ones(BYTES // 8)
    seen.append(resident_bytes())
    raise ZeroDivisionError


def test_the_memory_goes_back_in_the_end_even_after_an_error():
    seen: list[int] = []
    with pytest.raises(ZeroDivisionError):
        resident_before_an_error(seen)
    assert resident_bytes() < seen[0] - 0.9 * BYTES


def test_another_c_library_is_left_alone(monkeypatch):
    def unknown(_name):
        raise ValueError

    monkeypatch.setattr(os, "confstr", unknown)
    monkeypatch.setattr(ctypes, "CDLL", unknown)
    with freed_memory_kept():
        assert np.ones(3).sum() == 3
