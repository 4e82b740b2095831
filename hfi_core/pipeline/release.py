"""Names inside a release, for those who write it and those who take it up; nothing here imports torch."""

LORA_WEIGHTS = "lora/pytorch_lora_weights.safetensors"
"""As `load_lora_weights` of diffusers looks for it."""
LORA_ACCURACY = "lora/accuracy.json"
"""The LoRA's rank, and what it lacks of the release."""
