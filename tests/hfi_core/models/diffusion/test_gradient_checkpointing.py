"""Computing activations again saves memory and changes nothing, whatever weights are lent to the UNet."""

import pytest
import torch

from hfi_core.models.diffusion.loading import load_base_model


def _step(model, weights) -> tuple[torch.Tensor, list[torch.Tensor], int]:
    """Loss, gradients and the bytes that autograd stores, of one training step under lent weights."""
    generator = torch.Generator().manual_seed(0)
    x_t = torch.randn((2, *model.latent_shape), generator=generator)
    condition = model.encode(["a badge", "a red badge"]).detach()
    saved = {}

    def pack(tensor):
        saved[tensor.untyped_storage().data_ptr()] = tensor.untyped_storage().nbytes()
        return tensor

    with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
        loss = model.predict(x_t, torch.tensor([50, 500]), condition, weights).square().mean()
    return loss, torch.autograd.grad(loss, list(weights.values())), sum(saved.values())


@pytest.fixture
def models(project):
    compute = project.params.compute
    return [
        load_base_model(project.params.model, compute.model_copy(update={"checkpointing": wanted}))
        for wanted in (False, True)
    ]


def test_loss_and_gradients_are_equal_under_weights_that_are_not_the_module_s_own(models):
    steps = []
    for model in models:
        generator = torch.Generator().manual_seed(1)
        weights = {
            name: torch.nn.Parameter(value + 0.1 * torch.randn(value.shape, generator=generator))
            for name, value in model.cross_attention().items()
        }
        steps.append(_step(model, weights))
    (loss, gradients, saved), (again, same, less) = steps
    assert torch.equal(loss, again)
    assert all(torch.equal(a, b) for a, b in zip(gradients, same, strict=True))
    assert less < saved / 2
