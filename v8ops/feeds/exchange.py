"""One exchange through ccxt: markets, clock and candles. No keys are needed, read or sent."""

import difflib
import functools
import importlib.metadata
import time
from collections.abc import Generator
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

import numpy as np
from numpy.typing import NDArray

from v8lib.bar_interval import interval_word
from v8lib.errors import ParameterError
from v8ops.feeds.paging import DAY_S, Piece, no_rows, pages
from v8ops.feeds.patience import FeedError, Patience, missing_extra, one_line, retry_after_s

USUAL_PAGE_BARS = 300  # at exchanges of which ccxt does not know the limit
LARGEST_PAGE_BARS = 1_000
PASSING_STATUS = frozenset((408, 418, 425, 429))  # of the 4xx; the others stay as they are
# Without this, binance is asked for its futures too, which it does not serve everywhere.
OPTIONS = {"binance": {"fetchMarkets": {"types": ["spot"]}}}


def open_client(name: str, *, api_url: str | None = None, timeout_s: float = 30.0) -> Any:
    """Return a ccxt client that refuses answers that are not whole.

    Parameters
    ----------
    name : str
        As ccxt calls the exchange.
    api_url : str, optional
        A mirror, proxy or test server in place of the exchange's address.
    timeout_s : float
        Of one request.

    Raises
    ------
    ParameterError
        If ccxt is not installed, or knows no such exchange; the message has the nearest names.
    """
    try:
        import ccxt
    except ImportError:
        raise missing_extra("ccxt") from None
    if name not in ccxt.exchanges:
        near = difflib.get_close_matches(name.lower(), [*ccxt.exchanges, "binance-archive"], n=3)
        hint = f"did you mean {' or '.join(near)}?" if near else "see docs.ccxt.com for the names"
        raise ParameterError(f"unknown exchange '{name}': {hint}")
    options = OPTIONS.get(name, {})
    client = _careful(getattr(ccxt, name))(
        {"enableRateLimit": True, "timeout": int(timeout_s * 1000), "options": options}
    )
    if api_url:
        client.urls["api"] = _moved(client.urls["api"], api_url.rstrip("/"))
    client.proxies = _proxies(client.urls["api"])
    return client


def _careful(kind: type) -> type:
    """Return a client class that notes each status, and takes no half answer for an empty one."""
    import ccxt

    class Client(kind):
        last_status = 0

        def on_rest_response(self, code: int, *rest: Any) -> Any:
            self.last_status = code
            return super().on_rest_response(code, *rest)

        def fetch(
            self, url: str, method: str = "GET", headers: Any = None, body: Any = None
        ) -> Any:
            self.last_status, self.last_response_headers = 0, {}
            answer = super().fetch(url, method, headers, body)
            if isinstance(answer, str | bytes):  # ccxt gives up on JSON silently
                raise ccxt.NetworkError(f"{self.id} {url}: the answer is cut off, or no JSON")
            return answer

    return Client


def _moved(urls: Any, api_url: str) -> Any:
    """Return the addresses with another host; their paths stay."""
    if isinstance(urls, dict):
        return {key: _moved(value, api_url) for key, value in urls.items()}
    return api_url + urlsplit(urls).path if isinstance(urls, str) else urls


def _proxies(urls: Any) -> dict[str, str] | None:
    """Return the proxies of the environment for the first address; ccxt does not look for them."""
    from requests.utils import get_environ_proxies

    while isinstance(urls, dict):
        urls = next(iter(urls.values()))
    return get_environ_proxies(urls) or None


class Exchange:
    """Bars of one exchange; see `v8ops.feeds.fetch.Source` for what its methods promise."""

    def __init__(
        self, client: Any, patience: Patience, *, overlap_bars: int = 5, pages_per_part: int = 10
    ) -> None:
        self.client = client
        self.patience = patience
        self.name = str(client.id)
        self.overlap_bars = overlap_bars
        self.pieces_per_part = pages_per_part
        self.version = f"ccxt {importlib.metadata.version('ccxt')}"

    def _ask(self, method: str, *arguments: Any) -> Any:
        """Call the client until it answers, or until it is clear that it will not."""
        import ccxt

        def may_pass(error: BaseException) -> bool:
            status = self.client.last_status
            if status >= 500 or status in PASSING_STATUS:
                return isinstance(error, ccxt.BaseError)
            return isinstance(error, ccxt.OperationFailed) and not 400 <= status < 500

        try:
            return self.patience.ask(
                lambda: getattr(self.client, method)(*arguments),
                may_pass=may_pass,
                ordered_wait_s=lambda: retry_after_s(self.client.last_response_headers),
            )
        except ccxt.BaseError as error:
            status = f" (status {self.client.last_status})" if self.client.last_status else ""
            what = (
                f"no answer from {self.name} after {self.patience.tries} tries"
                if may_pass(error)
                else f"{self.name} refuses the request"
            )
            raise FeedError(f"{what}{status}: {one_line(error)}") from None

    def check_interval(self, interval_s: int) -> None:
        """Refuse an interval that the exchange has no bars of.

        Raises
        ------
        ParameterError
            With the intervals that it has.
        """
        if not self.client.has["fetchOHLCV"]:
            raise ParameterError(f"{self.name} gives no bars: choose another --exchange")
        if interval_word(interval_s) not in self.client.timeframes:
            words = ", ".join(self.client.timeframes)
            raise ParameterError(
                f"{self.name} has no {interval_word(interval_s)} bars: it has {words}"
            )

    def connect(self) -> float:
        """Ask for the exchange's list of markets, and return its time in seconds.

        Raises
        ------
        FeedError
            If it does not answer.
        """
        self._ask("load_markets")
        return self.now()

    def find_market(self, market: str) -> str:
        """Return the name of a market as the exchange's list has it.

        Raises
        ------
        FeedError
            If the list has no such market; the message names those with the same base.
        """
        self._ask("load_markets")
        if market in self.client.markets:
            return market
        base = market.split("/")[0].split("-")[0]
        same = sorted(s for s in self.client.symbols if s.split("/")[0] == base and ":" not in s)
        near = difflib.get_close_matches(market, self.client.symbols, n=3, cutoff=0.5)
        hint = f"of {base} it has {', '.join(same[:12])}" if same else f"none of {base}"
        hint += f", the nearest is {near[0]}" if near and not same else ""
        raise FeedError(f"{self.name} has no market {market} ({hint}); --market names another")

    def now(self) -> float:
        """Return the time in seconds by the exchange's clock, or by its answers' Date header.

        Raises
        ------
        FeedError
            If the exchange has a clock, but answers nothing that has a date.
        """
        failure = None
        if self.client.has["fetchTime"]:
            try:
                return float(self._ask("fetch_time")) / 1000.0
            except (FeedError, TypeError) as error:
                failure = error
        date = (self.client.last_response_headers or {}).get("Date")
        if date:
            return parsedate_to_datetime(date).timestamp()
        if isinstance(failure, FeedError):
            raise failure
        return time.time()

    def page_bars(self, market: str) -> int:
        """Return how many bars one answer can hold."""
        told = self.client.feature_value(market, "fetchOHLCV", "limit", USUAL_PAGE_BARS)
        return min(int(told or USUAL_PAGE_BARS), LARGEST_PAGE_BARS)

    def candles(self, market: str, interval_s: int, start: int, n_bars: int) -> NDArray[np.float64]:
        """Return one answer of the exchange, as rows of shape (n, 6), times in seconds."""
        word = interval_word(interval_s)
        rows = self._ask("fetch_ohlcv", market, word, start * 1000, n_bars)
        if not rows:
            return no_rows()
        try:
            table = np.array([row[:6] for row in rows], dtype=np.float64).reshape(len(rows), 6)
        except (TypeError, ValueError):
            raise FeedError(f"{self.name} {market}: not bars: {one_line(rows[0])}") from None
        table[:, 0] /= 1000.0
        return table

    def pieces(
        self, market: str, interval_s: int, start: int, stop: int, *, to_the_end: bool
    ) -> Generator[Piece, None, None]:
        """Yield the bars from `start` to `stop`, page by page."""
        candles = functools.partial(self.candles, market)
        ask_days = functools.partial(candles, DAY_S) if "1d" in self.client.timeframes else None
        ask = functools.partial(candles, interval_s)
        yield from pages(ask, start, stop, interval_s, self.page_bars(market), ask_days)
