"""Files from a public archive: downloaded, checked against their checksums, never half."""

import re
import threading
import time
from email.utils import parsedate_to_datetime
from typing import Any

from v8lib.storage import sha256_bytes
from v8ops.feeds.patience import FeedError, Patience, missing_extra, one_line, retry_after_s

PASSING_STATUS = frozenset((408, 425, 429))
CHECKSUM = re.compile(r"\s*([0-9a-fA-F]{64})\b")
MISSING = 404


class _StatusError(Exception):
    """A status that is neither a file nor a missing one."""

    def __init__(self, response: Any) -> None:
        super().__init__(f"status {response.status_code} {response.reason}")
        self.status = response.status_code


class Downloads:
    """Requests to one server; each thread has a connection of its own."""

    def __init__(self, base_url: str, patience: Patience, *, timeout_s: float = 30.0) -> None:
        self.base_url = base_url.rstrip("/")
        self.patience = patience
        self.timeout_s = timeout_s
        self._local = threading.local()

    def _session(self) -> Any:
        try:
            import requests
        except ImportError:
            raise missing_extra("requests") from None
        if not hasattr(self._local, "session"):
            session = requests.Session()
            # A proxy of the environment is used, a password in ~/.netrc is not sent.
            session.trust_env = False
            session.proxies = requests.utils.get_environ_proxies(self.base_url)
            self._local.session = session
        return self._local.session

    def _request(self, method: str, path: str, *, any_status: bool = False) -> Any:
        """Return the response, asked again while the server is busy or out of reach."""
        session = self._session()
        import requests

        ordered = [0.0]

        def request() -> Any:
            ordered[0] = 0.0
            url = f"{self.base_url}/{path}"
            response = session.request(method, url, timeout=self.timeout_s)
            if response.status_code not in (200, MISSING) and not any_status:
                ordered[0] = retry_after_s(response.headers)
                raise _StatusError(response)
            return response

        def may_pass(error: BaseException) -> bool:
            if isinstance(error, _StatusError):
                return error.status >= 500 or error.status in PASSING_STATUS
            return isinstance(error, requests.RequestException)

        try:
            return self.patience.ask(request, may_pass=may_pass, ordered_wait_s=lambda: ordered[0])
        except (requests.RequestException, _StatusError) as error:
            tries = f" after {self.patience.tries} tries" if may_pass(error) else ""
            name = path.rpartition("/")[2] or self.base_url
            raise FeedError(f"{name}: no answer{tries}: {one_line(error)}") from None

    def now(self) -> float:
        """Return the time in seconds by the server's Date header, or else by the local clock."""
        date = self._request("HEAD", "", any_status=True).headers.get("Date")
        return parsedate_to_datetime(date).timestamp() if date else time.time()

    def get(self, path: str) -> bytes | None:
        """Return the content of a file, or None if there is no such file.

        Raises
        ------
        FeedError
            If the server does not answer after all tries.
        """
        response = self._request("GET", path)
        return None if response.status_code == MISSING else response.content

    def checked(self, path: str) -> bytes | None:
        """Return the content of a file that agrees with its checksum, or None if there is none.

        What does not agree is downloaded once more.

        Raises
        ------
        FeedError
            If it does not agree the second time either, or has no checksum. Nothing is kept.
        """
        name = path.rpartition("/")[2]
        for _ in range(2):
            content = self.get(path)
            if content is None:
                return None
            listed = self.get(path + ".CHECKSUM")
            if listed is None:
                raise FeedError(f"{name}: the archive has no checksum for it, so it is not used")
            found = CHECKSUM.match(listed.decode("ascii", errors="replace"))
            expected = found[1].lower() if found else "no SHA-256"
            actual = sha256_bytes(content)
            if actual == expected:
                return content
        raise FeedError(
            f"{name}: twice not what its checksum file says: SHA-256 {actual}, there {expected}; "
            "nothing of it is kept"
        )
