"""One input for one target: documented errors only, memory and time by the size of the input."""

from __future__ import annotations

import time
import tracemalloc

from fuzz_targets import Target

MEMORY_BASE_BYTES = 4 << 20
SECONDS_PER_KIB = 0.5
SECONDS_BASE = 2.0


def examine(target: Target, data: bytes, *, bounded: bool = True) -> None:
    """Raise unless the target treats `data` as it must. `bounded`: also hold it to its bounds."""
    if not bounded:
        _decode(target, data)
        return
    tracemalloc.start()
    began = time.process_time()
    try:
        _decode(target, data)
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    seconds = time.process_time() - began
    assert peak <= MEMORY_BASE_BYTES + target.memory_factor * len(data), (
        f"{target.name}: {peak} bytes of memory for {len(data)} bytes of input"
    )
    assert seconds <= SECONDS_BASE + SECONDS_PER_KIB * len(data) / 1024, (
        f"{target.name}: {seconds:.1f} s for {len(data)} bytes of input"
    )


def _decode(target: Target, data: bytes) -> None:
    try:
        target.decode(data)
    except target.errors as error:
        text = str(error)
    else:
        return
    assert text, "an error must say something"
    # Go quotes what it refuses, byte by byte as "\\xff", twice even: so do we, word for word.
    assert len(text) <= 2000 + 32 * len(data), "an error grows out of proportion"
