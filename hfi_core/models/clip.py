"""CLIP embeddings (Radford et al. 2021) of pictures and texts, in padded blocks of one fixed size."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from transformers import CLIPModel, CLIPTokenizer, PreTrainedTokenizerBase
from transformers.models.clip.image_processing_pil_clip import CLIPImageProcessorPil
from transformers.utils.logging import disable_progress_bar

from hfi_core.compute.batching import map_in_padded_batches
from hfi_core.compute.device import device_of, dtype_of
from hfi_core.errors import UserError
from hfi_core.models.weights import WeightsFolder, checked, require_all_tensors
from hfi_core.params import Compute, Source

_TEXT_BLOCK = 16


@dataclass(frozen=True)
class Clip:
    """A frozen CLIP model with its tokenizer and its preparation of pictures."""

    model: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    processor: CLIPImageProcessorPil
    device: torch.device

    @classmethod
    def load(cls, source: Source, compute: Compute, part: WeightsFolder = "clip") -> "Clip":
        """Load any transformers CLIP folder, checked against the digest that params pin for `part`.

        Raises UserError if the folder is missing, torn, no CLIP model, or another one than pinned.
        """
        folder = checked(source.source, source.revision, source.digest, part)
        device = device_of(compute)
        model = _load_network(folder, dtype_of(compute)).to(device).eval().requires_grad_(False)
        try:
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # the libraries raise whatever their parsers raise on a broken folder
            raise _unloadable(folder, error) from error
        return cls(model, tokenizer, processor, device)

    @property
    def width(self) -> int:
        """Length of an embedding."""
        return self.model.config.projection_dim

    @property
    def logit_scale(self) -> float:
        """What the model multiplies cosines by before a softmax over texts."""
        return float(self.model.logit_scale.float().exp())

    def image_features(self, pictures: np.ndarray | Sequence[np.ndarray], block: int) -> torch.Tensor:
        """Embeddings (N, D) of uint8 pictures (H, W, 3): of length 1, float32, on the CPU."""

        def embed(part: list[np.ndarray]) -> torch.Tensor:
            pixels = self.processor(images=part, return_tensors="pt", input_data_format="channels_last")
            values = pixels["pixel_values"].to(self.device, self.model.dtype)
            return self.model.get_image_features(pixel_values=values).pooler_output

        return self._embedded(pictures, block, embed)

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Embeddings (N, D) of texts: of length 1, float32, on the CPU. Texts over the model's length are cut."""

        def embed(part: list[str]) -> torch.Tensor:
            tokens = self.tokenizer(
                part,
                padding="max_length",
                truncation=True,
                max_length=self.model.config.text_config.max_position_embeddings,
                return_tensors="pt",
            ).to(self.device)
            return self.model.get_text_features(**tokens).pooler_output

        return self._embedded(texts, _TEXT_BLOCK, embed)

    def _embedded(self, items: Sequence, block: int, embed: Callable[[list], torch.Tensor]) -> torch.Tensor:
        if not len(items):
            return torch.empty(0, self.width)
        return F.normalize(map_in_padded_batches(items, block, embed), dim=-1)


def _load_network(folder: Path, dtype: torch.dtype) -> CLIPModel:
    disable_progress_bar()
    try:
        model, report = CLIPModel.from_pretrained(
            folder, use_safetensors=True, local_files_only=True, dtype=dtype, output_loading_info=True
        )
    except Exception as error:  # as above
        raise _unloadable(folder, error) from error
    require_all_tensors(folder, report, "CLIP model")
    return model


def _unloadable(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder} cannot be loaded as a CLIP model ({type(error).__name__}): {str(error)[:300]}\n"
        "clip.source expects a folder that transformers' CLIPModel wrote, with safetensors weights."
    )
