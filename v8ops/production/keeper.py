"""Which models are in use: rollout.json as it is followed, and the bundles it names."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from v8lib.bundle import Bundle, load_bundle
from v8lib.errors import V8Error
from v8ops.production.errors import ProductionError
from v8ops.production.names import bundle_folder
from v8ops.production.notes import Notes, utc_words
from v8ops.production.rollback import take_back
from v8ops.production.rollout_file import read_rollout
from v8ops.production.rollout_state import Rollout, SymbolState

ROLLOUT = "rollout.json"
WHO = "serve"
Fingerprint = tuple[tuple[str, int, int, int], ...]


@dataclass(frozen=True)
class Member:
    """A version in its role."""

    role: str
    version: str


@dataclass(frozen=True)
class _Loaded:
    fingerprint: Fingerprint
    bundle: Bundle | None
    words: str


class Keeper:
    """Follows rollout.json and keeps its bundles loaded; goes on with the last good state.

    Parameters
    ----------
    models_dir : path
        The models folder.
    notes : Notes
        Where changes and troubles are said.
    load : callable
        Returns a verified bundle from its folder, or raises a V8Error.

    Attributes
    ----------
    trouble : str
        Why rollout.json cannot be used just now; empty if it can.
    """

    def __init__(
        self,
        models_dir: Path | str,
        notes: Notes,
        load: Callable[[Path], Bundle] = load_bundle,
    ) -> None:
        self.models_dir, self.notes, self._load = Path(models_dir), notes, load
        self.trouble = ""
        self._rollout: Rollout | None = None
        self._content: bytes | None = b""  # of the file when it was last read
        self._loaded: dict[tuple[str, str], _Loaded] = {}
        self._out: dict[tuple[str, str], str] = {}  # taken back here, while the file is not told

    def refresh(self) -> None:
        """Read rollout.json again if it has changed, and tell it what it was not told yet."""
        content = self._read()
        if content != self._content or self.trouble:
            self._content = content
            self._follow(content)
        for symbol, version in list(self._out):
            self._tell_file(symbol, version)

    def lineup(self, symbol: str) -> list[Member]:
        """Return the versions in use for a symbol: candidate, stable, previous."""
        state = self.state(symbol)
        if state is None:
            return []
        pairs = state.roles.items()
        return [Member(role, v) for role, v in pairs if (symbol, v) not in self._out]

    def state(self, symbol: str) -> SymbolState | None:
        """Return what rollout.json says of a symbol, by the last good reading."""
        return None if self._rollout is None else self._rollout.symbols.get(symbol)

    def why_none(self, symbol: str) -> str:
        """Return why there is no model in use for a symbol."""
        if self._rollout is None:
            return self.trouble or f"{ROLLOUT} has not been read"
        if self.state(symbol) is None:
            return f"no model of {symbol} was ever promoted"
        return f"no model of {symbol} is in use: `rollback` or serve took them back"

    def bundle(self, symbol: str, version: str) -> Bundle:
        """Return a bundle, loaded and verified once for as long as its files stay as they are.

        Raises
        ------
        ProductionError
            If it is gone, or its loader refuses it.
        """
        try:
            folder = bundle_folder(self.models_dir, symbol, version)
            fingerprint = _fingerprint(folder)
        except OSError as error:
            raise ProductionError(f"bundle {version} cannot be read: {error.strerror}") from None
        loaded = self._loaded.get((symbol, version))
        if loaded is None or loaded.fingerprint != fingerprint:
            loaded = self._loaded[symbol, version] = self._verified(folder, fingerprint)
        if loaded.bundle is None:
            raise ProductionError(loaded.words)
        return loaded.bundle

    def interval_s(self, symbol: str) -> int:
        """Return the bar length of the models in use for a symbol in seconds, 0 if not known."""
        for member in self.lineup(symbol):
            try:
                return int(self.bundle(symbol, member.version).manifest["interval_s"])
            except ProductionError:
                continue
        return 0

    def take_back(self, symbol: str, version: str, *, epoch_s: int, why: str) -> None:
        """Take a version out of use at once, and let rollout.json have it as soon as it can."""
        self.notes.say(
            "rollback", f"{version} is taken back: {why}",
            symbol=symbol, epoch_s=epoch_s, version=version,
        )  # fmt: skip
        self._out[symbol, version] = why
        self._tell_file(symbol, version)

    def _tell_file(self, symbol: str, version: str) -> None:
        at = utc_words(self.notes.clock())
        why = self._out[symbol, version]
        try:
            if self.trouble:
                raise ProductionError(self.trouble)
            rollout = take_back(self.models_dir, symbol, version, who=WHO, why=why, at=at)
        except (V8Error, OSError) as error:
            words = f"{version} is out of use here, but {ROLLOUT} does not say so yet: {error}"
            self.notes.once("untold", words, symbol=symbol)
            return
        self.notes.over("untold", f"{ROLLOUT} says that {version} is out", symbol=symbol)
        del self._out[symbol, version]
        self._adopt(rollout)
        self._content = self._read()

    def _read(self) -> bytes | None:
        try:
            return (self.models_dir / ROLLOUT).read_bytes()
        except OSError:
            return None

    def _follow(self, content: bytes | None) -> None:
        known = self._rollout
        try:
            if content is None and known is not None and known.revision > 0:
                raise ProductionError(f"{self.models_dir / ROLLOUT} is gone")
            rollout = read_rollout(self.models_dir)
        except (V8Error, OSError) as error:
            self.trouble = str(error)
            going = f"going on with revision {known.revision}" if known else "there are no signals"
            self.notes.once("rollout", f"{error}; {going}")
            return
        self.trouble = ""
        self.notes.over("rollout", f"{ROLLOUT} can be read again: revision {rollout.revision}")
        self._adopt(rollout)

    def _adopt(self, rollout: Rollout) -> None:
        before = {} if self._rollout is None else self._rollout.symbols
        self._rollout = rollout
        used = {
            (s, version) for s, state in rollout.symbols.items() for version in state.roles.values()
        }
        self._loaded = {key: loaded for key, loaded in self._loaded.items() if key in used}
        for symbol, state in rollout.symbols.items():
            old = before.get(symbol)
            if old is None or _words(old) != _words(state):
                self.notes.say(
                    "models", f"revision {rollout.revision}: {_words(state)}", symbol=symbol
                )

    def _verified(self, folder: Path, fingerprint: Fingerprint) -> _Loaded:
        try:
            return _Loaded(fingerprint, self._load(folder), "")
        except V8Error as error:
            return _Loaded(fingerprint, None, str(error))
        except OSError as error:
            raise ProductionError(f"{folder}: cannot be read: {error.strerror}") from None


def _fingerprint(folder: Path) -> Fingerprint:
    """Return what tells whether a folder's files are still the ones that were loaded."""
    if not folder.is_dir():
        raise ProductionError(f"bundle {folder.name} is gone: no folder {folder}")
    stats = [(path.name, path.stat()) for path in sorted(folder.iterdir())]
    return tuple((name, s.st_size, s.st_mtime_ns, s.st_ino) for name, s in stats)


def _words(state: SymbolState) -> str:
    candidate = f"{state.candidate} at stage {state.stage}" if state.candidate else "none"
    return f"stable {state.stable or 'none'}, candidate {candidate}"
