"""Import judgements from other tools and export them: one small file per format, one importer for all formats."""
