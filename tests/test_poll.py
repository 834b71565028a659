"""Polling: `fetch` as a process of its own, stubbed by a few lines of Python."""

import json
import sys

import pytest

from v8ops.production import poll
from v8ops.production.notes import Notes

NOTE_ARGUMENTS = (
    "import json, sys\n"
    "with open({path!r}, 'a') as file: file.write(json.dumps(sys.argv[1:]) + '\\n')\n"
    "sys.stderr.write({error!r})\n"
    "sys.exit({status})\n"
)


class Stub:
    def __init__(self, folder):
        self.folder, self.asked = folder, folder / "asked.jsonl"
        self.lines, self.seconds, self.stop = [], 0.0, False
        self.poll = poll.Poll(
            "coinbase",
            folder / "data",
            Notes(lambda: 0.0, self.lines.append),
            stopping=lambda: self.stop,
            program=(sys.executable, str(folder / "fetch.py")),
            timer=lambda: self.seconds,
        )
        self.answer(0)

    def answer(self, status, error=""):
        code = NOTE_ARGUMENTS.format(path=str(self.asked), error=error, status=status)
        (self.folder / "fetch.py").write_text(code)

    def commands(self):
        if not self.asked.exists():
            return []
        return [json.loads(line) for line in self.asked.read_text().splitlines()]


@pytest.fixture
def stub(tmp_path):
    return Stub(tmp_path)


def test_symbols_of_one_interval_are_fetched_together(stub):
    stub.poll.fetch({"BTC": 900, "SOL": 3_600, "ETH": 900})
    data = str(stub.folder / "data")
    assert stub.commands() == [
        ["--exchange", "coinbase", "--symbols", "BTC", "ETH", "--interval", "15m", "--data", data],
        ["--exchange", "coinbase", "--symbols", "SOL", "--interval", "1h", "--data", data],
    ]
    assert stub.lines == []


def test_without_a_known_interval_fetch_takes_its_own(stub):
    stub.poll.fetch({"BTC": 0})
    (command,) = stub.commands()
    assert "--interval" not in command


def test_nothing_due_is_nothing_fetched(stub):
    stub.poll.fetch({})
    assert stub.commands() == []


def test_a_symbol_is_not_asked_for_again_at_once(stub):
    stub.poll.fetch({"BTC": 900})
    stub.seconds += poll.PAUSE_S - 1.0
    stub.poll.fetch({"BTC": 900, "ETH": 900})
    stub.seconds += 1.0
    stub.poll.fetch({"BTC": 900, "ETH": 900})
    assert [command[3] for command in stub.commands()] == ["BTC", "ETH", "BTC"]


def test_a_fetch_that_fails_is_said_once_and_again_when_it_works(stub):
    for error in ("one\nBTC: no answer\n", "BTC: no answer", "BTC: other"):
        stub.answer(1, error)
        stub.poll.fetch({"BTC": 900})
        stub.seconds += poll.PAUSE_S
    stub.answer(0)
    stub.poll.fetch({"BTC": 900})
    assert [line.split(" ", 1)[1] for line in stub.lines] == [
        "fetch of BTC from coinbase failed: BTC: no answer",
        "fetch of BTC from coinbase failed: BTC: other",
        "fetch of BTC works again",
    ]


def test_a_program_that_is_not_there_is_said(stub):
    stub.poll.program = (str(stub.folder / "nothing"),)
    stub.poll.fetch({"BTC": 900})
    assert "cannot be started: No such file" in stub.lines[0]


def test_a_status_without_words_is_said_by_its_number(stub):
    stub.answer(3)
    stub.poll.fetch({"BTC": 900})
    assert "failed: status 3" in stub.lines[0]


@pytest.mark.parametrize("ending", ["stop", "limit"])
def test_a_fetch_that_does_not_end_is_ended(stub, monkeypatch, ending):
    """When serve is told to end, or when it takes too long."""
    monkeypatch.setattr(poll, "LOOK_EVERY_S", 0.01)
    (stub.folder / "fetch.py").write_text("import signal\nsignal.pause()\n")
    if ending == "stop":
        stub.stop = True
    else:
        ticking = iter(range(0, 10**9, 100))
        stub.poll.timer = lambda: next(ticking)
    stub.poll.fetch({"BTC": 900})
    assert "failed: ended after" in stub.lines[0]


def test_by_default_the_suite_s_own_fetch_is_asked():
    assert poll.PROGRAM == (sys.executable, "-m", "v8ops", "fetch")
