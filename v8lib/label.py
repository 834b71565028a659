"""The three classes."""

from enum import IntEnum


class Label(IntEnum):
    """The three classes, in the column order of every probability array."""

    DOWN = 0
    HOLD = 1
    UP = 2


CLASS_NAMES = tuple(label.name for label in Label)
