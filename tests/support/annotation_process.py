"""Serves a test's project: `python -m tests.support.annotation_process FOLDER PORT`."""

import sys
from pathlib import Path

import uvicorn

from hfi_core.annotation.app import create_app
from hfi_core.annotation.settings import Access, ServerSettings
from hfi_core.feedback.store import open_store
from hfi_core.params import load_params

if __name__ == "__main__":
    folder, port = Path(sys.argv[1]), int(sys.argv[2])
    params = load_params(folder / "params.yaml")
    with open_store(params.feedback.database_url) as store:
        app = create_app(ServerSettings(params, store, folder, Access.loopback(folder / ".hfi")))
        uvicorn.run(app, host="127.0.0.1", port=port, log_level="warning")
