"""What the pages show: translations, guidelines, image files. Knows no request."""
