"""The reward model: its features, its training objectives, and which pictures to ask people about next."""
