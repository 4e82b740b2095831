"""What `hfi doctor` says of this machine's device and precision."""

import pytest
import torch

from flows.doctor.machine import check_machine
from tests.flows.doctor.conftest import verdicts


@pytest.mark.parametrize(
    ("dtype", "supported", "mark"),
    [("float32", False, "ok"), ("bfloat16", True, "ok"), ("bfloat16", False, "note"), ("float16", False, "note")],
)
def test_a_precision_without_instructions_is_noted(params_with, monkeypatch, dtype, supported, mark):
    for name in ("_is_mkldnn_bf16_supported", "_is_mkldnn_fp16_supported"):
        monkeypatch.setattr(torch.ops.mkldnn, name, lambda: supported)
    params_with(compute__dtype=dtype)
    assert verdicts(check_machine())["precision"] == mark


def test_a_missing_device_is_named_once(params_with, monkeypatch):
    monkeypatch.setattr(torch.cuda, "device_count", lambda: 0)
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    params_with(compute__device="cuda")
    found = verdicts(check_machine())
    assert found["device"] == "FAILED" and "precision" not in found
