"""Where a net is trained, and in which precision: what is asked for, and what is there."""

import torch

from v8lib.config import Device, Precision
from v8lib.errors import DeviceError

DTYPES: dict[Precision, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16}


def pick_device(asked: Device) -> Device:
    """Return "cpu", "cuda" or "mps".

    "auto" is a CUDA device where there is one and the CPU elsewhere. Apple's MPS is taken
    only by name: nothing was measured on it, and a net this small keeps a GPU waiting.

    Raises
    ------
    DeviceError
        If a device is asked for that is not there.
    """
    if asked == "auto":
        return "cuda" if torch.cuda.is_available() else "cpu"
    there = {
        "cpu": True,
        "cuda": torch.cuda.is_available(),
        "mps": torch.backends.mps.is_available(),
    }
    if not there[asked]:
        known = ", ".join(name for name, found in there.items() if found)
        raise DeviceError(f"device = '{asked}': torch finds none here (there is {known}); use auto")
    return asked


def pick_precision(asked: Precision, device: Device) -> Precision:
    """Return "fp32" or "bf16"; "auto" is bf16 where the device computes in it itself.

    bf16 can be asked for anywhere: without such hardware it is emulated, and slower than
    fp32. That both reach the same valid log loss is what tests/test_precision.py holds.
    """
    if asked == "auto":
        return "bf16" if computes_bf16(device) else "fp32"
    return asked


def computes_bf16(device: Device) -> bool:
    """Return whether matrix products in bfloat16 are the hardware's own there."""
    if device == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device == "cpu":
        return torch.cpu._is_avx512_bf16_supported() or torch.cpu._is_amx_tile_supported()
    return False
