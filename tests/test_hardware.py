import pytest
import torch

from v8lib import hardware
from v8lib.errors import DeviceError, V8Error


@pytest.fixture
def machine(monkeypatch):
    def build(*, cuda=False, mps=False, cuda_bf16=False, avx512_bf16=False, amx=False):
        monkeypatch.setattr(torch.cuda, "is_available", lambda: cuda)
        monkeypatch.setattr(torch.backends.mps, "is_available", lambda: mps)
        monkeypatch.setattr(torch.cuda, "is_bf16_supported", lambda **_: cuda_bf16)
        monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: avx512_bf16)
        monkeypatch.setattr(torch.cpu, "_is_amx_tile_supported", lambda: amx)

    return build


def test_auto_is_cuda_where_there_is_one_and_the_cpu_elsewhere(machine):
    machine(cuda=True, mps=True)
    assert hardware.pick_device("auto") == "cuda"
    machine(mps=True)
    assert hardware.pick_device("auto") == "cpu", "mps is taken by name only"
    machine()
    assert hardware.pick_device("auto") == "cpu"


@pytest.mark.parametrize("name", ["cuda", "mps"])
def test_a_device_that_is_not_there_is_refused_by_name(machine, name):
    machine()
    with pytest.raises(DeviceError, match=rf"device = '{name}': .*\(there is cpu\); use auto"):
        hardware.pick_device(name)
    assert issubclass(DeviceError, V8Error)


@pytest.mark.parametrize("name", ["cpu", "cuda", "mps"])
def test_a_device_that_is_there_is_taken(machine, name):
    machine(cuda=True, mps=True)
    assert hardware.pick_device(name) == name


@pytest.mark.parametrize(
    ("device", "there", "expected"),
    [
        ("cpu", {}, "fp32"),
        ("cpu", {"avx512_bf16": True}, "bf16"),
        ("cpu", {"amx": True}, "bf16"),
        ("cpu", {"cuda": True, "cuda_bf16": True}, "fp32"),
        ("cuda", {"cuda": True}, "fp32"),
        ("cuda", {"cuda": True, "cuda_bf16": True}, "bf16"),
        ("mps", {"mps": True, "avx512_bf16": True}, "fp32"),
    ],
)
def test_auto_precision_is_bf16_where_the_device_computes_in_it(machine, device, there, expected):
    machine(**there)
    assert hardware.pick_precision("auto", device) == expected


@pytest.mark.parametrize("asked", ["fp32", "bf16"])
def test_a_precision_that_is_named_is_taken_as_it_is(machine, asked):
    machine()
    assert hardware.pick_precision(asked, "cpu") == asked


def test_the_cpu_of_this_machine_can_be_asked():
    """The two questions go through names of torch that are not public: they must exist."""
    assert isinstance(hardware.computes_bf16("cpu"), bool)
