"""Recording numbers in a notebook: the only module that imports scrapbook."""

from collections.abc import Mapping
from typing import Any

import numpy as np
import scrapbook
from jsonschema.exceptions import best_match
from jsonschema.validators import validator_for
from scrapbook import schemas

SIGNIFICANT_DIGITS = 8
VALIDATORS = {id(schema): validator_for(schema)(schema) for schema in schemas.SCHEMAS.values()}


def validate(payload: Mapping[str, Any], schema: Mapping[str, Any]) -> None:
    """Check what is stored against one of scrapbook's schemas.

    `jsonschema.validate` checks the schema itself first, which is nearly all of its time. A test
    does that here.

    Raises
    ------
    jsonschema.ValidationError
        As `jsonschema.validate`.
    """
    error = best_match(VALIDATORS[id(schema)].iter_errors(payload))
    if error is not None:
        raise error


scrapbook.scraps.json_validate = validate


def record(scraps: Mapping[str, Any]) -> None:
    """Store each value under its name in the notebook's outputs, as plain JSON.

    Numpy scalars, arrays and tuples become Python values, floats are rounded to eight
    significant digits, and None is stored as ``{"value": None}`` because scrapbook has no
    word for it.

    Raises
    ------
    ValueError
        If a number is NaN or infinite: scrapbook would turn it into text.
    """
    for name, value in scraps.items():
        plain = to_plain(value, name)
        scrapbook.glue(name, {"value": None} if plain is None else plain)


def to_plain(value: Any, name: str = "value") -> Any:
    """Return `value` as JSON values only; `name` is for the error message."""
    if isinstance(value, Mapping):
        return {str(k): to_plain(v, f"{name}.{k}") for k, v in value.items()}
    if isinstance(value, np.ndarray | list | tuple):
        return [to_plain(v, name) for v in value]
    if isinstance(value, bool | np.bool_):
        return bool(value)
    if isinstance(value, int | np.integer):
        return int(value)
    if isinstance(value, float | np.floating):
        if not np.isfinite(value):
            raise ValueError(f"scrap '{name}' is {value}: record None and say why instead")
        return float(f"{float(value):.{SIGNIFICANT_DIGITS}g}")
    if value is None or isinstance(value, str):
        return value
    raise ValueError(f"scrap '{name}' is a {type(value).__name__}: record numbers or text")
