"""The description that comes with a model that was trained elsewhere."""

import difflib
import json
from pathlib import Path
from typing import Annotated, Any, Literal

import numpy as np
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from v8lib.config import LabelScheme
from v8lib.features import feature_table
from v8lib.label import CLASS_NAMES
from v8lib.onnx_net import OnnxRuntime
from v8lib.scaling import Scaler
from v8ops.production.errors import ProductionError

STRICT = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)
NO_CLIP = 1e30
NEEDS = {  # of a label scheme, beside the horizon
    "trailing_tercile": "window_bars",
    "fixed": "threshold_bps",
    "vol_scaled": "sigmas",
    "triple_barrier": "sigmas",
}
UNUSED = {"window_bars": 2_880, "threshold_bps": 10.0, "sigmas": 1.0}  # by the other schemes
Name = Annotated[str, Field(min_length=1, max_length=200)]


class LabelSpec(BaseModel):
    """What the model predicts, as `labels.make_labels` takes it."""

    model_config = STRICT

    scheme: LabelScheme
    horizon_bars: Annotated[int, Field(ge=1, le=10_000)]
    window_bars: Annotated[int, Field(ge=100)] | None = None
    threshold_bps: Annotated[float, Field(gt=0.0)] | None = None
    sigmas: Annotated[float, Field(gt=0.0)] | None = None

    @model_validator(mode="after")
    def _says_what_the_scheme_needs(self) -> "LabelSpec":
        if getattr(self, NEEDS[self.scheme]) is None:
            raise ValueError(f"labels: the scheme {self.scheme} needs {NEEDS[self.scheme]}")
        return self

    @property
    def numbers(self) -> dict[str, Any]:
        """What `make_labels` takes; what the scheme does not look at has some value."""
        given = self.model_dump()
        return given | {k: v for k, v in UNUSED.items() if given[k] is None}


class Spec(BaseModel):
    """What a person says about an ONNX model; docs/registering.md explains every key."""

    model_config = STRICT

    input: Name
    columns: Annotated[list[Name], Field(min_length=1, max_length=500)]
    mean: list[float] | None = None
    scale: list[Annotated[float, Field(gt=0.0)]] | None = None
    clip_sigma: Annotated[float, Field(gt=0.0)] | None = None
    output: Name
    output_is: Literal["logits", "probs", "log_probs"]
    classes: list[Literal["DOWN", "HOLD", "UP"]]
    interval_s: Annotated[int, Field(ge=1, le=7 * 86_400)]
    labels: LabelSpec
    min_confidence: Annotated[float, Field(gt=0.0, lt=1.0)]
    decision_offsets: Annotated[list[float], Field(min_length=3, max_length=3)] | None = None

    @model_validator(mode="after")
    def _fits_together(self) -> "Spec":
        if sorted(self.classes) != sorted(CLASS_NAMES):
            raise ValueError("classes: DOWN, HOLD and UP, in the order of the output")
        if (self.mean is None) != (self.scale is None):
            raise ValueError("mean and scale: both or neither")
        if self.clip_sigma is not None and self.mean is None:
            raise ValueError("clip_sigma: cuts scaled values, give mean and scale too")
        for name in ("mean", "scale"):
            given = getattr(self, name)
            if given is not None and len(given) != len(self.columns):
                raise ValueError(f"{name}: {len(given)} numbers for {len(self.columns)} columns")
        return self

    def runtime(self, content: bytes) -> OnnxRuntime:
        """Return the model that a file is by this description."""
        return OnnxRuntime(
            content,
            tuple(self.columns),
            self.input,
            self.output,
            self.output_is,
            tuple(self.classes.index(name) for name in CLASS_NAMES),
            self._scaler(),
            np.array(self.decision_offsets or [0.0, 0.0, 0.0]),
            self.min_confidence,
        )

    def _scaler(self) -> Scaler | None:
        if self.mean is None or self.scale is None:
            return None
        clip = NO_CLIP if self.clip_sigma is None else self.clip_sigma
        return Scaler(tuple(self.columns), np.array(self.mean), np.array(self.scale), clip)


def read_spec(path: Path) -> Spec:
    """Return the description in a JSON file.

    Raises
    ------
    ProductionError
        One line that names the file, the key, and what must stand there.
    """
    try:
        content = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise ProductionError(f"{path} cannot be read: {error.strerror}") from None
    except (ValueError, RecursionError) as error:
        raise ProductionError(f"{path} is not JSON: {error}") from None
    if not isinstance(content, dict):
        raise ProductionError(f"{path} holds no names: a spec is one JSON object")
    try:
        spec = Spec.model_validate(content)
    except ValidationError as error:
        raise ProductionError(f"{path}: {_first(error)}") from None
    _refuse_columns(spec, path)
    return spec


def _first(error: ValidationError) -> str:
    first = error.errors()[0]
    key = ".".join(str(part) for part in first["loc"])
    if first["type"] == "missing":
        return f"'{key}' is missing"
    if first["type"] == "extra_forbidden":
        near = difflib.get_close_matches(str(first["loc"][-1]), Spec.model_fields, n=1)
        return f"unknown key '{key}'" + (f"; did you mean '{near[0]}'?" if near else "")
    if "error" in first.get("ctx", {}):
        return str(first["ctx"]["error"])
    return f"{key}: {first['msg'][0].lower()}{first['msg'][1:]}"


def _refuse_columns(spec: Spec, path: Path) -> None:
    known = [feature.name for feature in feature_table(spec.interval_s)]
    for name in spec.columns:
        if name not in known:
            near = difflib.get_close_matches(name, known, n=1, cutoff=0.3)
            hint = f"; did you mean '{near[0]}'?" if near else ""
            raise ProductionError(f"{path}: no feature is called '{name}'{hint}")
        if spec.columns.count(name) > 1:
            raise ProductionError(f"{path}: the column '{name}' stands there twice")
