"""Which column of a file is which: names in every usual spelling."""

import re
from collections.abc import Iterable

import pyarrow as pa
import pyarrow.compute as pc

from v8lib.bar_table import FileTable, is_text, name_list, one_line
from v8lib.errors import BarsError
from v8lib.raw_bars import COLUMNS

# Names are compared without case, spaces and signs: "Open Price", "open_price", "<OPEN>".
ALIASES = {
    "open": ("open", "o", "openprice", "priceopen", "openingprice"),
    "high": ("high", "h", "highprice", "pricehigh", "highestprice"),
    "low": ("low", "l", "lowprice", "pricelow", "lowestprice"),
    "close": ("close", "c", "closeprice", "priceclose", "closingprice", "closelast"),
    "volume": ("volume", "vol", "v", "basevolume", "volumebase", "baseassetvolume", "volumefrom"),
}
ROLES = {alias: role for role, aliases in ALIASES.items() for alias in aliases}
OPEN_TIMES = (
    "opentime",
    "timeopen",
    "opentimestamp",
    "timeperiodstart",
    "periodstart",
    "starttime",
    "start",
    "begin",
)
GENERIC_TIMES = (
    "timestamp",
    "time",
    "datetime",
    "date",
    "unix",
    "unixtimestamp",
    "unixtime",
    "epoch",
    "ts",
    "t",
    "timeutc",
    "dateutc",
    "datetimeutc",
    "timestamputc",
    "gmttime",
    "timestampms",
)
INDEX_NAMES = ("", "index", "unnamed0")  # what a table's index is called in a file
CLOSE_TIMES = ("closetime", "timeclose", "closetimestamp", "timeperiodend", "periodend", "endtime")
CLOCKS = ("time", "clock", "timeutc")
TIMES = frozenset((*OPEN_TIMES, *GENERIC_TIMES))
MARKETS = ("symbol", "ticker", "pair", "instrument")
CURRENCY_VOLUME = re.compile(r"(?:volume|vol) ([a-z0-9]{2,10})")
# A volume in these is counted in money, or is no volume at all.
NOT_BASE = frozenset(
    "usd usdt usdc busd fdusd tusd dai eur gbp jpy krw try brl aud cad chf "
    "quote currency notional to ma sma ema avg mean tick ticks change delta buy sell 24h".split()
)


def plain_name(name: str) -> str:
    """Return a column name in small letters, without spaces and signs if letters are left."""
    lower = name.strip().lower()
    return re.sub(r"[^a-z0-9]+", "", lower) or lower


def is_known(name: str) -> bool:
    """Return whether a name is one of a bar file's columns."""
    return bool(role_of(name)) or plain_name(name) in CLOSE_TIMES


def role_of(name: str) -> str | None:
    """Return "open", "high", "low", "close", "volume", "time", or None for another column."""
    plain = plain_name(name)
    if plain in TIMES:
        return "time"
    return ROLES.get(plain) or ("volume" if _currency(name) else None)


def find_columns(table: FileTable) -> dict[str, int]:
    """Return the position of open, high, low, close and volume.

    Raises
    ------
    BarsError
        If one is missing, several could be it, it holds no numbers at all, or the file holds
        several markets.
    """
    market = _market(table)
    found = {role: _position(table, role) for role in COLUMNS[:-1]}
    found["volume"] = _volume(table, market)
    for role, position in found.items():
        _refuse_type(role, table.names[position], table.columns[position].type)
    return found


def _position(table: FileTable, role: str) -> int:
    named = [i for i, name in enumerate(table.names) if ROLES.get(plain_name(name)) == role]
    return only_one(table, role, named)


def only_one(table: FileTable, role: str, positions: list[int]) -> int:
    """Return the one position of a role.

    Raises
    ------
    BarsError
        If there is none, or more than one.
    """
    if not positions:
        raise BarsError(f"no column '{role}' (found: {name_list(table.names)})")
    if len(positions) > 1:
        names = " and ".join(f"'{one_line(table.names[i])}'" for i in positions[:4])
        raise BarsError(f"{len(positions)} columns could be '{role}': {names}: keep one")
    return positions[0]


def _volume(table: FileTable, market: str) -> int:
    """Return the column of the volume in the base currency (BTC of BTC/USDT)."""
    plain = [i for i, name in enumerate(table.names) if ROLES.get(plain_name(name)) == "volume"]
    if plain:
        return only_one(table, "volume", plain)
    currencies = {i: _currency(name) for i, name in enumerate(table.names)}
    named = {i: word for i, word in currencies.items() if word}
    base = [i for i, word in named.items() if market and plain_name(market).startswith(word)]
    return only_one(table, "volume", base or [i for i, w in named.items() if w not in NOT_BASE])


def _currency(name: str) -> str | None:
    """Return "btc" for "Volume BTC" or "Volume_(BTC)"."""
    words = " ".join(re.findall(r"[a-z0-9]+", name.lower()))
    found = CURRENCY_VOLUME.fullmatch(words)
    return found[1] if found else None


def _market(table: FileTable) -> str:
    """Return the market that a file names in a column, empty if it names none."""
    for name, column in zip(table.names, table.columns, strict=True):
        if plain_name(name) in MARKETS and is_text(column):
            values = [str(value) for value in pc.unique(column).to_pylist() if value]
            different = {plain_name(value): value for value in values}
            if len(different) > 1:
                raise BarsError(
                    f"column '{one_line(name)}' names {len(different)} markets "
                    f"({name_list(tuple(different.values()))}): one file holds one market"
                )
            return next(iter(different.values()), "")
    return ""


def _refuse_type(role: str, name: str, kind: pa.DataType) -> None:
    if not (pa.types.is_string(kind) or pa.types.is_floating(kind) or pa.types.is_integer(kind)):
        raise BarsError(f"column '{role}' ('{one_line(name)}') holds {one_line(kind)}, no numbers")


def unused(table: FileTable, used: Iterable[int]) -> dict[str, pa.ChunkedArray]:
    """Return the columns that are not used, by name."""
    used = set(used)
    return {
        table.names[i] or "''": column for i, column in enumerate(table.columns) if i not in used
    }
