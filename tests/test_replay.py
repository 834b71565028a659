"""The recording of a step on CUDA, with a stand-in for the device: there is none in tests."""

from contextlib import contextmanager

import pytest
import torch

from v8lib import replay


class Stream:
    def wait_stream(self, other):
        assert isinstance(other, Stream)


class Graph:
    """Remembers what was called while it was being recorded, and calls it again."""

    recording = None
    recorded = ()

    def replay(self):
        for function, inputs in self.recorded:
            function(*inputs)


@pytest.fixture
def cuda(monkeypatch):
    @contextmanager
    def graph(made):
        Graph.recording, made.recorded = made, []
        yield
        Graph.recording = None

    @contextmanager
    def stream(_):
        yield

    monkeypatch.setattr(torch.cuda, "Stream", Stream)
    monkeypatch.setattr(torch.cuda, "current_stream", Stream)
    monkeypatch.setattr(torch.cuda, "stream", stream)
    monkeypatch.setattr(torch.cuda, "CUDAGraph", Graph)
    monkeypatch.setattr(torch.cuda, "graph", graph)
    return torch.device("cuda")


class Summing:
    """Adds its inputs up in place; while it is being recorded it only notes itself."""

    def __init__(self):
        self.total, self.calls = torch.zeros(2), 0

    def __call__(self, first, second):
        if Graph.recording is not None:
            Graph.recording.recorded.append((self.add, (first, second)))
        else:
            self.add(first, second)

    def add(self, first, second):
        self.calls += 1
        self.total += first * second


def run(device, n=8):
    function = Summing()
    step = replay.Replay(function, device)
    for k in range(n):
        step(torch.full((2,), float(k)), torch.tensor(2.0))
    return function


def test_on_the_cpu_the_function_is_called():
    function = run(torch.device("cpu"))
    assert function.total.tolist() == [56.0, 56.0]


def test_a_recorded_function_sees_every_input_once_and_none_twice(cuda):
    function = run(cuda)
    assert function.calls == 8
    assert function.total.tolist() == [56.0, 56.0]


def test_what_is_recorded_are_inputs_of_its_own(cuda):
    function = Summing()
    step = replay.Replay(function, cuda)
    given = torch.ones(2)
    for _ in range(replay.PLAIN_CALLS + 1):
        step(given, torch.tensor(1.0))
    assert function.total.tolist() == [4.0, 4.0]
    step(torch.full((2,), 5.0), torch.tensor(1.0))
    assert function.total.tolist() == [9.0, 9.0]
    assert given.tolist() == [1.0, 1.0], "a caller's tensor is never written to"
