"""Compute CLIP embeddings (Radford et al. 2021) of pictures and texts, in padded batches of one fixed size."""

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
from hfi_core.models.weights import WeightsFolder, locate_pinned, require_all_tensors
from hfi_core.params import Compute, Source

_TEXT_BLOCK = 16


@dataclass(frozen=True)
class Clip:
    """A frozen CLIP model with its tokenizer and its image processor."""

    model: CLIPModel
    tokenizer: PreTrainedTokenizerBase
    processor: CLIPImageProcessorPil
    device: torch.device

    @classmethod
    def load(cls, source: Source, compute: Compute, part: WeightsFolder = "clip") -> "Clip":
        """Load a transformers CLIP folder, whose digest must be the one that params pin for `part`.

        Raises UserError if the folder is missing, incomplete, not a CLIP model, or does not match the pinned digest.
        """
        folder = locate_pinned(source.source, source.revision, source.digest, part)
        device = device_of(compute)
        model = _load_network(folder, dtype_of(compute)).to(device).eval().requires_grad_(False)
        try:
            tokenizer = CLIPTokenizer.from_pretrained(folder, local_files_only=True)
            processor = CLIPImageProcessorPil.from_pretrained(folder, local_files_only=True)
        except Exception as error:  # the libraries raise many kinds of errors for a broken folder
            raise _loading_error(folder, error) from error
        return cls(model, tokenizer, processor, device)

    @property
    def width(self) -> int:
        """Return the length of an embedding."""
        return self.model.config.projection_dim

    @property
    def logit_scale(self) -> float:
        """Return the factor for cosines before a softmax over texts."""
        return float(self.model.logit_scale.float().exp())

    def image_features(self, pictures: Sequence[np.ndarray] | np.ndarray, block: int) -> torch.Tensor:
        """Return normalised embeddings (N, D) of pictures, uint8 (H, W, 3), in float32 on the CPU."""

        def embed(part: list[np.ndarray]) -> torch.Tensor:
            pixels = self.processor(images=part, return_tensors="pt", input_data_format="channels_last")
            values = pixels["pixel_values"].to(self.device, self.model.dtype)
            return self.model.get_image_features(pixel_values=values).pooler_output

        return self._embed(pictures, block, embed)

    def text_features(self, texts: Sequence[str]) -> torch.Tensor:
        """Return normalised embeddings (N, D) of texts, in float32 on the CPU. Texts over the model's limit are cut."""

        def embed(part: list[str]) -> torch.Tensor:
            tokens = self.tokenizer(
                part,
                padding="max_length",
                truncation=True,
                max_length=self.model.config.text_config.max_position_embeddings,
                return_tensors="pt",
            ).to(self.device)
            return self.model.get_text_features(**tokens).pooler_output

        return self._embed(texts, _TEXT_BLOCK, embed)

    def _embed(self, items: Sequence | np.ndarray, block: int, embed: Callable[[list], torch.Tensor]) -> torch.Tensor:
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
        raise _loading_error(folder, error) from error
    require_all_tensors(folder, report, "CLIP model")
    return model


def _loading_error(folder: Path, error: Exception) -> UserError:
    return UserError(
        f"{folder} cannot be loaded as a CLIP model ({type(error).__name__}): {str(error)[:300]}\n"
        "  To fix this: name a folder in clip.source that transformers' CLIPModel wrote, with safetensors weights."
    )
