"""Values out of JSON that somebody else may have written: each has the type it must have."""

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from math import isfinite
from typing import Any

import numpy as np
from numpy.typing import NDArray

from v8lib.errors import BundleError

Array = NDArray[np.float64]
LARGEST = 1e308  # of a number that a float holds


@dataclass(frozen=True)
class Values:
    """A JSON object whose values are asked for by name and type.

    Every method raises a `BundleError` that names the value if it is missing or another type.

    Attributes
    ----------
    content : mapping
        The object.
    where : str
        How messages call it, for instance "manifest.json: model".
    """

    content: Mapping[str, Any]
    where: str

    @classmethod
    def of(cls, content: Any, where: str) -> "Values":
        """Return the values of what must be an object."""
        if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
            raise BundleError(f"{where} must be an object of names and values")
        return cls(content, where)

    def value(self, key: str) -> Any:
        """Return whatever stands under a name."""
        if key not in self.content:
            raise BundleError(f"{self.where}: '{key}' is missing")
        return self.content[key]

    def below(self, key: str) -> "Values":
        """Return the object under a name."""
        return Values.of(self.value(key), f"{self.where}: '{key}'")

    def each(self, key: str) -> Iterator["Values"]:
        """Return the objects of the list under a name, one or more."""
        found = self.value(key)
        if not isinstance(found, list) or not found:
            raise self.wrong(key, "a list of objects")
        return (Values.of(x, f"{self.where}: '{key}' {k + 1}") for k, x in enumerate(found))

    def text(self, key: str) -> str:
        """Return the text under a name, not empty."""
        found = self.value(key)
        if not isinstance(found, str) or not found:
            raise self.wrong(key, "text")
        return found

    def one_of(self, key: str, allowed: tuple[str, ...]) -> str:
        """Return the text under a name, one of those allowed."""
        found = self.value(key)
        if not isinstance(found, str) or found not in allowed:
            raise self.wrong(key, f"one of {', '.join(allowed)}")
        return found

    def texts(self, key: str) -> list[str]:
        """Return the list of texts under a name, no two the same."""
        found = self.value(key)
        if not isinstance(found, list) or not all(isinstance(x, str) and x for x in found):
            raise self.wrong(key, "a list of texts")
        if len(set(found)) < len(found):
            raise self.wrong(key, "a list without repetition")
        return found

    def integer(self, key: str, *, at_least: int) -> int:
        """Return the whole number under a name."""
        found = self.value(key)
        if type(found) is not int or not at_least <= found < 2**53:
            raise self.wrong(key, f"a whole number of at least {at_least}")
        return found

    def number(self, key: str, *, above: float = -np.inf, below: float = np.inf) -> float:
        """Return the finite number under a name, strictly between two bounds."""
        found = self.value(key)
        if not _is_number(found) or not above < found < below:
            bounds = "" if above == -np.inf else f" above {above:g}"
            bounds += "" if below == np.inf else f" below {below:g}"
            raise self.wrong(key, f"a number{bounds}")
        return float(found)

    def numbers(self, key: str, n: int) -> Array:
        """Return the `n` finite numbers under a name, float64 of shape (n,)."""
        found = self.value(key)
        if not isinstance(found, list) or len(found) != n or not _are_numbers(found):
            raise self.wrong(key, f"{n} finite numbers")
        return np.array(found, dtype=np.float64)

    def shares(self, key: str) -> Array:
        """Return the three class frequencies under a name: none below 0, together 1."""
        found = self.numbers(key, 3)
        if (found < 0.0).any() or abs(found.sum() - 1.0) > 1e-6:
            raise self.wrong(key, "three shares that sum to 1")
        return found

    def wrong(self, key: str, wanted: str) -> BundleError:
        """Return the error for a value that is not what must stand there."""
        return BundleError(f"{self.where}: '{key}' must be {wanted}")


def _are_numbers(found: list[Any]) -> bool:
    if set(map(type, found)) == {float}:  # nearly always, and there may be thousands
        return bool(np.abs(found).max() < LARGEST)
    return all(map(_is_number, found))


def _is_number(found: Any) -> bool:
    """Return whether a JSON value is a number that a float holds; true and false are none."""
    return type(found) in (int, float) and abs(found) < LARGEST and isfinite(found)
