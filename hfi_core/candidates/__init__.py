"""The pictures that people judge: their manifest, and the import of pictures that exist already."""
