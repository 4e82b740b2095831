"""The reward model, its training objectives, and active learning: which pictures people should judge next."""
