"""What kind of file the bytes are, told by content, and the bytes inside a gzip or zip."""

import gzip
import io
import json
import re
import zipfile
import zlib
from dataclasses import dataclass
from typing import Any

from v8lib.bar_table import name_list, one_line
from v8lib.errors import BarsError

MAX_BYTES = 1 << 31  # unpacked; more is no bar file but a bomb or a mistake
TOO_MUCH = f"holds more than {MAX_BYTES >> 30} GB: no bar file"
READ = "CSV, Parquet and Feather are read"
PARQUET, FEATHER, FEATHER_1 = b"PAR1", b"ARROW1", b"FEA1"
GZIP, ZIP = b"\x1f\x8b", b"PK"
PICKLE = "a pickle, which is never loaded as it may run code"
OTHERS = (
    *((b"\x80" + bytes([protocol]), PICKLE) for protocol in range(2, 6)),
    (b"\x89HDF", "an HDF5 file"),
    (b"SQLite format 3", "an SQLite database"),
    (b"%PDF", "a PDF"),
    (b"\x89PNG", "a picture"),
    (b"\xd0\xcf\x11\xe0", "an old Excel workbook: save the sheet as CSV"),
    (b"PARE", "an encrypted Parquet file"),
    (b"BZh", "a bzip2 archive: unpack it"),
    (b"\xfd7zXZ", "an xz archive: unpack it"),
    (b"\x28\xb5\x2f\xfd", "a zstd archive: unpack it"),
    (b"7z\xbc\xaf", "a 7z archive: unpack it"),
    (b"Rar!", "a rar archive: unpack it"),
)
HTML = re.compile(rb"\s*(<!--|<!doctype html|<html|<head|<body|<title|<script)", re.IGNORECASE)
XML = re.compile(rb"\s*<(\?xml|error|rss|soap)", re.IGNORECASE)
MESSAGE = re.compile(rb"<message>(.*?)</message>", re.IGNORECASE | re.DOTALL)
SAYS = ("msg", "message", "error", "errors", "error_message", "detail", "reason", "description")
CONTROLS = frozenset(range(32)) - frozenset(b"\t\n\r\f\x1b")
NO_DATA = re.compile(
    r"(^|/)(__MACOSX/|\.[^/]*$|[^/]+\.(checksum|md5|sha1|sha256|sha512|asc|sig)$)", re.IGNORECASE
)


@dataclass(frozen=True)
class Payload:
    """What a file holds: its kind ("csv", "parquet" or "feather"), its bytes, the wrapping."""

    kind: str
    data: bytes
    wrapping: str = ""


def open_container(data: bytes) -> Payload:
    """Return what a file's bytes hold, unpacked.

    Raises
    ------
    BarsError
        If they are no table that is read here. The message says what they are.
    """
    if not data:
        raise BarsError("the file is empty")
    if data.startswith(GZIP):
        return _unpacked(_gunzip(data), "gzip")
    if data.startswith(ZIP):
        return _unpacked(_unzip(data), "zip")
    return Payload(_kind(data), data)


def _unpacked(data: bytes, wrapping: str) -> Payload:
    if not data:
        raise BarsError(f"the {wrapping} holds an empty file")
    if data.startswith((GZIP, ZIP)):
        raise BarsError(f"not bars: an archive inside a {wrapping}: unpack it")
    return Payload(_kind(data), data, wrapping)


def _kind(data: bytes) -> str:
    """Return "csv", "parquet" or "feather", or refuse what is neither by its name."""
    if data.startswith(PARQUET):
        if not data.endswith(PARQUET):
            raise BarsError("cannot be read as parquet: the file is cut off")
        return "parquet"
    if data.startswith((FEATHER, FEATHER_1)):
        return "feather"
    _refuse_other(data)
    return "csv"


def _refuse_other(data: bytes) -> None:
    if data.startswith(b"version https://git-lfs"):
        raise BarsError("not bars: a Git LFS pointer, fetch the real file")
    for magic, what in OTHERS:
        if data.startswith(magic):
            raise BarsError(f"not bars: {what}; {READ}")
    head = data[:1_024].removeprefix(b"\xef\xbb\xbf")
    _refuse_answer(head, data)
    wide = head.startswith((b"\xff\xfe", b"\xfe\xff"))
    if not wide and sum(byte in CONTROLS for byte in head) > len(head) // 50:
        raise BarsError(f"not bars: binary data of a kind not known here; {READ}")


def _refuse_answer(head: bytes, data: bytes) -> None:
    """Refuse what a server answers in place of a file, with what it says."""
    if HTML.match(head):
        raise BarsError("not bars: an HTML page, the address may have answered with an error")
    if XML.match(head):
        said = MESSAGE.search(data[:8_192])
        raise BarsError(f"not bars: XML{_answer(said and said[1].decode('utf-8', 'replace'))}")
    if head.lstrip()[:1] in (b"{", b"["):
        raise BarsError(f"not bars: JSON{_answer(_json_message(data))}")


def _answer(message: str | None) -> str:
    return f", it says: {one_line(message, 200)}" if message else f"; {READ}"


def _json_message(data: bytes) -> str | None:
    """Return the message of an exchange's error answer, if it is one."""
    if len(data) > 65_536:
        return None
    try:
        return _said(json.loads(data))
    except (ValueError, RecursionError):
        return None


def _said(content: Any) -> str | None:
    """Return the first text under one of the usual keys, at any depth of objects and lists."""
    if isinstance(content, str):
        return content or None
    if isinstance(content, list) and all(isinstance(part, (str, dict)) for part in content):
        return next(filter(None, map(_said, content)), None)
    if not isinstance(content, dict):
        return None
    return next(filter(None, (_said(content.get(key)) for key in SAYS)), None)


def _gunzip(data: bytes) -> bytes:
    try:
        with gzip.GzipFile(fileobj=io.BytesIO(data)) as file:
            return _limited(file.read(MAX_BYTES + 1))
    except EOFError:
        raise BarsError("cannot be read as gzip: the file is cut off") from None
    except (OSError, zlib.error) as error:
        raise BarsError(f"cannot be read as gzip: {one_line(error)}") from None


def _unzip(data: bytes) -> bytes:
    try:
        with zipfile.ZipFile(io.BytesIO(data)) as archive:
            with archive.open(_only_member(archive)) as file:
                return _limited(file.read(MAX_BYTES + 1))
    except BarsError:
        raise
    except zipfile.BadZipFile as error:
        reason = f"{one_line(error)}: cut off or damaged"
        raise BarsError(f"cannot be read as zip: {reason}") from None
    except (OSError, EOFError, zlib.error, RuntimeError, ValueError, OverflowError) as error:
        raise BarsError(f"cannot be read as zip: {one_line(error) or 'damaged'}") from None


def _only_member(archive: zipfile.ZipFile) -> zipfile.ZipInfo:
    """Return the one member with data."""
    names = archive.namelist()
    if "[Content_Types].xml" in names or "mimetype" in names:
        raise BarsError("not bars: a workbook or document (xlsx, ods): save the sheet as CSV")
    members = [m for m in archive.infolist() if not m.is_dir() and not NO_DATA.search(m.filename)]
    if len(members) != 1:
        listed = name_list(tuple(member.filename for member in members))
        raise BarsError(
            f"a zip of {len(members)} data files ({listed}): unpack it, one file holds one market"
            if members
            else "a zip without a data file"
        )
    if members[0].flag_bits & 1:
        raise BarsError("a zip with a password: unpack it")
    return members[0]


def _limited(data: bytes) -> bytes:
    if len(data) > MAX_BYTES:
        raise BarsError(f"unpacked, it {TOO_MUCH}")
    return data
