"""A scaler out of a manifest, checked."""

from v8lib.json_values import Values
from v8lib.scaling import Scaler


def read_scaler(values: Values) -> Scaler:
    """Return the scaler behind `scaling.scaler_numbers`.

    Raises
    ------
    BundleError
        If a value is missing or of another type, a scale is not above 0, or a column has no
        mean or scale.
    """
    names = values.texts("names")
    mean, scale = (values.numbers(key, len(names)) for key in ("mean", "scale"))
    if not names or (scale <= 0.0).any():
        raise values.wrong("scale", "numbers above 0, one for each column")
    return Scaler(tuple(names), mean, scale, values.number("clip_sigma", above=0.0))
