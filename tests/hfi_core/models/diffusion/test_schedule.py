"""Noise and v are two ways to say the same."""

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from hfi_core.errors import UserError
from hfi_core.models.diffusion.schedule import NoiseSchedule

ALPHA_BAR = torch.linspace(0.999, 0.005, 100)


@given(t=st.integers(0, 99), seed=st.integers(0, 1000))
def test_v_is_turned_back_into_the_noise_that_was_added(t, seed):
    generator = torch.Generator().manual_seed(seed)
    x0, eps = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(2))
    steps = torch.tensor([t, t])
    schedule = NoiseSchedule(ALPHA_BAR, "v_prediction")
    x_t = schedule.add_noise(x0, eps, steps)
    a = ALPHA_BAR[t]
    v = a.sqrt() * eps - (1 - a).sqrt() * x0
    assert torch.allclose(schedule.eps_from_output(v, x_t, steps), eps, atol=1e-4)


@pytest.mark.parametrize("kind", ["epsilon", "v_prediction"])
@given(t=st.integers(0, 99), seed=st.integers(0, 1000))
def test_an_error_of_the_noise_is_turned_into_the_error_of_the_network_s_output(kind, t, seed):
    generator = torch.Generator().manual_seed(seed)
    x_t, target, output = (torch.randn(2, 4, 3, 3, generator=generator) for _ in range(3))
    steps = torch.tensor([t, t])
    schedule = NoiseSchedule(ALPHA_BAR, kind)
    eps_error = schedule.eps_from_output(output, x_t, steps) - schedule.eps_from_output(target, x_t, steps)
    assert torch.allclose(schedule.output_error(eps_error, steps), output - target, atol=1e-3)


def test_an_unknown_parameterisation_is_refused_by_name():
    with pytest.raises(UserError, match="'sample'"):
        NoiseSchedule(ALPHA_BAR, "sample")


def test_a_schedule_that_ends_in_pure_noise_is_refused():
    from diffusers import DDIMScheduler

    whole = DDIMScheduler(rescale_betas_zero_snr=True, prediction_type="v_prediction").alphas_cumprod
    with pytest.raises(UserError, match="zero terminal SNR"):
        NoiseSchedule(whole, "v_prediction")
