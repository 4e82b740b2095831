"""Draws are named by what they are for."""

import subprocess
import sys

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.compute.seeding import derive_seed, numpy_generator, torch_generator

PARTS = st.lists(st.integers() | st.text(max_size=20), min_size=1, max_size=4)


@given(PARTS)
def test_a_seed_fits_every_generator_and_is_always_the_same(key):
    seed = derive_seed(*key)
    assert 0 <= seed < 2**63 and seed == derive_seed(*key)
    assert torch.equal(torch.rand(3, generator=torch_generator(*key)), torch.rand(3, generator=torch_generator(*key)))
    assert np.array_equal(numpy_generator(*key).random(3), numpy_generator(*key).random(3))


@pytest.mark.integration
def test_a_seed_is_the_same_in_every_process_and_release():
    assert derive_seed("generate", "badge", 7) == 7696164731783301251
    code = "from hfi_core.compute.seeding import derive_seed; print(derive_seed('generate', 'badge', 7))"
    result = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert int(result.stdout) == derive_seed("generate", "badge", 7)


def test_the_parts_of_a_key_do_not_run_together():
    keys = [("ab", "c"), ("a", "bc"), ("abc",), ("a", "b", "c"), (1, 23), (12, 3), (123,)]
    assert len({derive_seed(*key) for key in keys}) == len(keys)


def test_draws_for_neighbouring_keys_have_nothing_in_common():
    draws = np.stack([numpy_generator("step", step).normal(size=2000) for step in range(10)])
    assert np.abs(np.corrcoef(draws) - np.eye(10)).max() < 0.12
