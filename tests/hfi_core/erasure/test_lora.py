"""A removal as a LoRA: what is kept at each rank, and which rank is taken."""

import pytest
import torch

from hfi_core.erasure.lora import require_matrices, smallest_rank, weight_difference
from hfi_core.errors import UserError

BASE = {
    "a.attn2.to_k.weight": torch.randn(12, 5, generator=torch.Generator().manual_seed(0)),
    "a.attn2.to_out.0.weight": torch.randn(12, 12, generator=torch.Generator().manual_seed(1)),
    "a.attn2.to_out.0.bias": torch.randn(12, generator=torch.Generator().manual_seed(2)),
}


def changed(rank: int) -> dict[str, torch.Tensor]:
    generator = torch.Generator().manual_seed(3)
    found = {}
    for name, value in BASE.items():
        if value.ndim == 2:
            left, right = (torch.randn(side, rank, generator=generator) for side in value.shape)
            found[name] = value + left @ right.T
        else:
            found[name] = value + torch.randn(value.shape, generator=generator)
    return found


def test_a_change_of_some_rank_is_kept_whole_by_a_lora_of_that_rank():
    wanted = changed(rank=2)
    change = weight_difference(BASE, wanted)
    merged = change.weights(2)
    assert set(merged) == {name for name in wanted if name.endswith(".weight")}
    for name, value in merged.items():
        torch.testing.assert_close(value, wanted[name], atol=1e-5, rtol=1e-5)
    assert change.remaining(2) == pytest.approx(0, abs=1e-6)
    assert change.remaining(1) > 0.1


def test_what_remains_is_the_frobenius_norm_of_what_is_missing():
    wanted = changed(rank=5)
    change = weight_difference(BASE, wanted)
    merged = change.weights(3)
    matrices = [name for name in wanted if wanted[name].ndim == 2]
    missing = sum((merged[name] - wanted[name]).square().sum() for name in matrices).sqrt()
    whole = sum((BASE[name] - wanted[name]).square().sum() for name in matrices).sqrt()
    assert change.remaining(3) == pytest.approx(float(missing / whole), rel=1e-4)


def test_a_rank_above_that_of_a_matrix_is_filled_up_so_that_all_have_one():
    tensors = weight_difference(BASE, changed(rank=5)).tensors(8)
    assert {value.shape[0] for name, value in tensors.items() if name.endswith("lora_A.weight")} == {8}
    assert {value.shape[1] for name, value in tensors.items() if name.endswith("lora_B.weight")} == {8}
    assert tensors["unet.a.attn2.to_k.lora_A.weight"][5:].count_nonzero() == 0


def test_the_smallest_rank_that_fits_is_found_and_none_where_none_does():
    for most in (1, 7, 10):
        for needed in range(1, most + 1):
            assert smallest_rank(most, lambda rank, needed=needed: rank >= needed) == needed
        assert smallest_rank(most, lambda rank: False) is None


def test_a_search_asks_no_more_often_than_a_plan_counts():
    from hfi_core.params import Lora
    from hfi_core.params.workload import count_lora_draws

    for most in (1, 2, 7, 10, 63):
        ranks = []
        smallest_rank(most, lambda rank, ranks=ranks: bool(ranks.append(rank)))
        assert len(ranks) + 2 <= count_lora_draws(Lora(most_difference=1, pictures=1, most_rank=most))


@pytest.mark.parametrize("name", ["a.conv1.weight", "a.norm1.weight"])
def test_a_changed_convolution_or_norm_is_named_and_an_unchanged_one_is_not(name):
    value = torch.randn((4, 3, 3, 3) if "conv" in name else (4,), generator=torch.Generator().manual_seed(4))
    base = BASE | {name: value}
    require_matrices(base, changed(2) | {name: value.clone()})
    with pytest.raises(UserError, match=f"the removal changed {name}.* set release.lora to null"):
        require_matrices(base, changed(2) | {name: value + 1})
