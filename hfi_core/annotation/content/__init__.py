"""What the pages contain: translations, guidelines, image files. Does not know requests."""
