"""A server on loopback that answers like exchanges and like a bulk archive, faults included."""

import json
import threading
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from urllib.parse import parse_qs, urlsplit

import numpy as np

DAY_S = 86_400
START_S = 1_704_067_200  # 2024-01-01 00:00 UTC
GRANULARITIES = {"ONE_MINUTE": 60, "FIFTEEN_MINUTE": 900, "ONE_HOUR": 3_600, "ONE_DAY": DAY_S}
KLINE_INTERVALS = {"1m": 60, "15m": 900, "1h": 3_600, "1d": DAY_S}


def history(n_bars, *, start_s=START_S, interval_s=900, seed=1, at=None):
    """Rows (time, open, high, low, close, volume) of a market; `at` places them on the grid."""
    rng = np.random.default_rng(seed)
    close = np.round(100.0 * np.exp(np.cumsum(rng.normal(0.0, 1e-3, n_bars))), 2)
    opened = np.concatenate([[100.0], close])[:n_bars]
    high = np.round(np.maximum(opened, close) + rng.random(n_bars), 2)
    low = np.round(np.minimum(opened, close) - rng.random(n_bars), 2)
    volume = np.round(rng.random(n_bars) * 10.0, 4)
    times = start_s + interval_s * (np.arange(n_bars) if at is None else np.asarray(at))
    return np.column_stack([times, opened, high, low, close, volume]).astype(np.float64)


def coarser(rows, interval_s):
    """The bars of a longer interval, as an exchange makes them: from whatever bars there are."""
    if not len(rows):
        return rows
    starts = rows[:, 0] // interval_s * interval_s
    made = []
    for start in np.unique(starts):
        inside = rows[starts == start]
        high, low = inside[:, 2].max(), inside[:, 3].min()
        made.append([start, inside[0, 1], high, low, inside[-1, 4], inside[:, 5].sum()])
    return np.array(made)


@dataclass
class Fault:
    """What is wrong with one answer.

    Of `status`, `body` (sent as it is), `rows` (a function of the rows of the page), `cut_at`
    (bytes of the body that are sent; the length named is that of the whole body if `lie`), and
    `hold` (the answer waits until it is set; `reached` says that it does) any may be given.
    """

    status: int = 200
    body: bytes | None = None
    headers: dict = field(default_factory=dict)
    rows: object = None
    cut_at: int | None = None
    lie: bool = False
    hold: threading.Event | None = None
    reached: threading.Event = field(default_factory=threading.Event)


class Handler(BaseHTTPRequestHandler):
    """Sends what the feed of its server has to say."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def log_message(self, *ignored):
        pass

    def do_HEAD(self):
        self.reply(200, b"", {})

    def do_GET(self):
        feed, parts = self.server.feed, urlsplit(self.path)
        query = {key: value[0] for key, value in parse_qs(parts.query).items()}
        with feed.lock:
            feed.log.append((parts.path, query))
            feed.headers.append(dict(self.headers))
            fault = feed.next_fault(parts.path)
        if fault.hold:
            fault.reached.set()
            fault.hold.wait()
        body = fault.body
        if body is None:
            body = feed.answer(parts.path, query, fault.rows)
        if body is None:
            self.reply(404, b"<Error>NoSuchKey</Error>", {})
            return
        sent = body if fault.cut_at is None else body[: fault.cut_at]
        self.reply(fault.status, sent, fault.headers, len(body) if fault.lie else len(sent))
        self.close_connection = self.close_connection or fault.lie

    def date_time_string(self, timestamp=None):
        return self.server.feed.date or super().date_time_string(timestamp)

    def reply(self, status, body, headers, length=None):
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(body) if length is None else length))
        for name, value in headers.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(body)


class Listener(ThreadingHTTPServer):
    daemon_threads = True

    def handle_error(self, request, client_address):
        """Say nothing of clients that were killed in the middle of an answer."""


class FeedServer:
    """Markets of one interval, a clock, a folder of files, and a log of what was asked.

    Attributes
    ----------
    markets : dict of str to rows
        By base currency; BTC is coinbase's BTC-USD, binance's BTCUSDT and kraken's XXBTZUSD.
    faults : dict of int to Fault
        By the number of the request for candles, the first is 0.
    files : dict of str to bytes
        By path. One in `file_faults` is answered by the faults of its list first.
    log : list of (path, query)
        Of every request; `headers` has those of each.
    """

    def __init__(self, markets=None, *, interval_s=900, now_s=None):
        self.markets = markets or {}
        self.interval_s = interval_s
        last = max((rows[-1, 0] for rows in self.markets.values() if len(rows)), default=START_S)
        self.now_s = float(now_s if now_s is not None else last + interval_s)
        self.faults, self.files, self.file_faults = {}, {}, {}
        self.largest_page = {"coinbase": 350, "binance": 1_000, "kraken": 720}
        self.always = None  # done to the rows of every page
        self.date = None  # sent as the Date header
        self.log, self.headers, self.n_candles = [], [], 0
        self.lock = threading.Lock()

    def __enter__(self):
        self.http = Listener(("127.0.0.1", 0), Handler)
        self.http.feed = self
        self.url = f"http://127.0.0.1:{self.http.server_address[1]}"
        # The default interval would be felt at every shutdown.
        self.thread = threading.Thread(target=self.http.serve_forever, args=(0.01,), daemon=True)
        self.thread.start()
        return self

    def __exit__(self, *error):
        for fault in self.faults.values():
            if fault.hold:
                fault.hold.set()
        self.http.shutdown()
        self.http.server_close()
        self.thread.join()

    def candle_requests(self):
        """Path and query of the requests for candles, in order."""
        return [(path, query) for path, query in self.log if is_candles(path)]

    def next_fault(self, path):
        if is_candles(path):
            fault = self.faults.get(self.n_candles, Fault())
            self.n_candles += 1
            return fault
        queue = self.file_faults.get(path.lstrip("/"), [])
        return queue.pop(0) if queue else Fault()

    def answer(self, path, query, change):
        if path.lstrip("/").startswith("data/"):
            return self.files.get(path.lstrip("/"))
        for answer in (self.coinbase, self.binance, self.kraken):
            content = answer(path, query, change)
            if content is not None:
                return json.dumps(content).encode()
        return None

    def page(self, exchange, base, interval_s, first, last, limit, change, newest=False):
        """The rows of a market with first <= time <= last that are there by now."""
        rows = self.markets[base]
        rows = rows if interval_s == self.interval_s else coarser(rows, interval_s)
        rows = rows[(rows[:, 0] >= first) & (rows[:, 0] <= min(last, self.now_s))]
        limit = min(limit, self.largest_page[exchange])
        rows = rows[-limit:] if newest else rows[:limit]
        for step in (self.always, change):
            rows = step(rows) if step else rows
        return rows

    def coinbase(self, path, query, change):
        if path == "/v2/time":
            return {"data": {"epoch": int(self.now_s), "iso": ""}}
        if path in ("/v2/currencies", "/v2/currencies/crypto"):
            return {"data": []}
        if path == "/v2/exchange-rates":
            return {"data": {"currency": "USD", "rates": {}}}
        if path == "/api/v3/brokerage/market/products":
            spot = [] if "product_type" in query else list(self.markets)
            return {"products": [_coinbase_product(base) for base in spot]}
        if not path.endswith("/candles"):
            return None
        base = path.split("/")[-2].split("-")[0]
        first, last = float(query["start"]), float(query["end"])
        length = GRANULARITIES[query["granularity"]]
        if (last - first) / length > self.largest_page["coinbase"]:
            return {"error": "INVALID_ARGUMENT", "message": "number of candles requested"}
        rows = self.page("coinbase", base, length, first, last, 350, change, newest=True)
        names = ("start", "open", "high", "low", "close", "volume")
        return {
            "candles": [
                {n: _text(v) for n, v in zip(names, row, strict=True)} for row in rows[::-1]
            ]
        }

    def binance(self, path, query, change):
        if path == "/api/v3/time":
            return {"serverTime": int(self.now_s * 1000)}
        if path.endswith("/exchangeInfo"):
            spot = list(self.markets) if path.startswith("/api") else []
            return {"symbols": [_binance_symbol(base) for base in spot]}
        if path != "/api/v3/klines":
            return None
        first = int(query["startTime"]) / 1000.0
        length = KLINE_INTERVALS[query["interval"]]
        base = query["symbol"].removesuffix("USDT")
        limit = int(query["limit"])
        rows = self.page("binance", base, length, first, np.inf, limit, change)
        return [kline(row, length) for row in rows]

    def kraken(self, path, query, change):
        result = None
        if path == "/0/public/Time":
            result = {"unixtime": int(self.now_s), "rfc1123": ""}
        elif path == "/0/public/Assets":
            result = {}
        elif path == "/0/public/AssetPairs":
            result = {f"X{base}ZUSD": _kraken_pair(base) for base in self.markets}
        elif path == "/0/public/OHLC":
            length = int(query["interval"]) * 60
            base = query["pair"][1:-4]
            first = int(query["since"]) + 1
            # Whatever is asked for, only the newest 720 are there.
            rows = self.page("kraken", base, length, -np.inf, np.inf, 720, None, newest=True)
            rows = rows[rows[:, 0] >= first]
            rows = change(rows) if change else rows
            bars = [[int(r[0]), *map(_text, r[1:5]), "0", _text(r[5]), 1] for r in rows]
            result = {query["pair"]: bars, "last": 0}
        return None if result is None else {"error": [], "result": result}


def is_candles(path):
    return path.endswith(("/candles", "/klines", "/OHLC"))


def kline(row, interval_s, unit=1_000):
    """A row of twelve values as binance gives it, times in 1/unit seconds."""
    first, last = int(row[0] * unit), int((row[0] + interval_s) * unit) - 1
    return [first, *(_text(v) for v in row[1:6]), last, "0.0", 1, "0.0", "0.0", "0"]


def _text(value):
    if value is None or np.isnan(value):
        return None
    return str(int(value)) if float(value).is_integer() else repr(float(value))


def _coinbase_product(base):
    return {
        "product_id": f"{base}-USD",
        "base_currency_id": base,
        "quote_currency_id": "USD",
        "product_type": "SPOT",
        "trading_disabled": False,
        "base_increment": "0.00000001",
        "quote_increment": "0.01",
        "price_increment": "0.01",
        "base_min_size": "0.001",
        "base_max_size": "1000",
        "quote_min_size": "1",
        "quote_max_size": "1000000",
        "alias_to": [],
    }


def _binance_symbol(base):
    return {
        "symbol": f"{base}USDT",
        "status": "TRADING",
        "baseAsset": base,
        "quoteAsset": "USDT",
        "baseAssetPrecision": 8,
        "quotePrecision": 8,
        "isSpotTradingAllowed": True,
        "isMarginTradingAllowed": False,
        "permissions": ["SPOT"],
        "filters": [],
    }


def _kraken_pair(base):
    return {
        "altname": f"{base}USD",
        "wsname": f"{base}/USD",
        "base": base,
        "quote": "ZUSD",
        "pair_decimals": 2,
        "lot_decimals": 8,
        "leverage_buy": [],
        "fees": [[0, 0.26]],
        "fees_maker": [[0, 0.16]],
        "ordermin": "0.001",
        "status": "online",
    }
