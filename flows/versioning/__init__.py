"""DVC and git: out-of-date stages, outputs in the cache, `dvc.yaml`, pointer files, and the results branch."""
