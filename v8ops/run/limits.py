"""What processes that compute may use: threads and memory, as environment variables."""

# The C library learns from large arrays to keep what they leave, hundreds of megabytes at a
# million bars. With these it gives them back; other systems do not look at them. What a block of
# `v8lib.features` leaves fits under the second: given back and asked for again block by block,
# it takes as long as the features themselves.
GIVE_BACK = {"MALLOC_MMAP_THRESHOLD_": str(4 << 20), "MALLOC_TRIM_THRESHOLD_": str(12 << 20)}


def numeric_limits(threads: int) -> dict[str, str]:
    """Return the environment that keeps numeric work to this many threads, and to its memory."""
    limits = {f"{library}_NUM_THREADS": str(threads) for library in ("OMP", "MKL", "OPENBLAS")}
    return limits | GIVE_BACK
