"""What fetch does unless told otherwise: params/feeds.yaml, checked."""

from pathlib import Path
from typing import Annotated, Any

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from v8lib.errors import ParameterError

PROJECT = Path(__file__).resolve().parents[2]
FEEDS = PROJECT / "params" / "feeds.yaml"

Symbol = Annotated[str, Field(pattern=r"^[A-Z0-9]{1,12}$")]
Market = Annotated[str, Field(min_length=1, max_length=60)]
Seconds = Annotated[float, Field(gt=0.0, le=3_600.0)]


class FeedSettings(BaseModel):
    """Everything fetch can be told; params/feeds.yaml says what each key means."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    exchange: Annotated[str, Field(min_length=1)]
    symbols: Annotated[list[Symbol], Field(min_length=1)]
    interval: str
    since: str
    market_name: Market
    market_names: dict[str, Market]
    timeout_s: Seconds
    tries: Annotated[int, Field(ge=1, le=100)]
    first_wait_s: Seconds
    longest_wait_s: Seconds
    overlap_bars: Annotated[int, Field(ge=0, le=1_000)]
    pages_per_part: Annotated[int, Field(ge=1, le=1_000)]
    archive_url: Annotated[str, Field(pattern=r"^https?://")]
    archive_downloads: Annotated[int, Field(ge=1, le=16)]

    def market_of(self, exchange: str, symbol: str) -> str:
        """Return the name of a symbol's market at an exchange."""
        return self.market_names.get(exchange, self.market_name).replace("{symbol}", symbol)


def check_settings(values: dict[str, Any], origin: str) -> FeedSettings:
    """Return validated settings.

    Parameters
    ----------
    values : dict
        All keys of `FeedSettings`.
    origin : str
        Where they come from, for the message.

    Raises
    ------
    ParameterError
        One line that names the first offending key, its value and what is allowed.
    """
    try:
        return FeedSettings(**values)
    except ValidationError as error:
        first = error.errors()[0]
        key = ".".join(str(part) for part in first["loc"])
        if first["type"] == "missing":
            raise ParameterError(f"{origin}: '{key}' is missing") from None
        if first["type"] == "extra_forbidden":
            raise ParameterError(f"{origin}: unknown key '{key}'") from None
        message = first["msg"][0].lower() + first["msg"][1:]
        raise ParameterError(f"{origin}: {key} = {first['input']!r}: {message}") from None


def read_settings(path: Path | str = FEEDS) -> FeedSettings:
    """Return the settings of a file.

    Raises
    ------
    ParameterError
        If the file is missing, is not YAML, or holds something else than the settings.
    """
    import yaml

    path = Path(path)
    try:
        content = yaml.safe_load(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        raise ParameterError(f"{path}: no such parameter file") from None
    except yaml.YAMLError as error:
        raise ParameterError(f"{path}: not YAML: {' '.join(str(error).split())}") from None
    if not isinstance(content, dict) or not all(isinstance(key, str) for key in content):
        raise ParameterError(f"{path}: expected a mapping of names to values")
    return check_settings(content, path.name)
