"""A registered version to where others take it from, from what MLflow holds: the place was lost, or is another now."""

import tempfile
from pathlib import Path

from flows.releases.download import stored_release
from flows.releases.publish import Published, publish, release_name
from flows.releases.versions import find_own_release, reaching, registry_client
from hfi_core.errors import UserError
from hfi_core.params import Params
from hfi_core.pipeline.graph import Progress, silent


def publish_version(params: Params, name: str, *, dry_run: bool = False, progress: Progress = silent) -> Published:
    """Publish the release of a version (a number, or an alias) as `publish` does; a former champion's tag says where.

    No gate is asked, and the record of promotions stays: it says where each was published then.
    Raises UserError if there is no such version of `release.model`, it is not what was registered, or as `publish`.
    """
    found = find_own_release(params, name)
    client = registry_client(params)
    with tempfile.TemporaryDirectory() as scratch:
        with reaching(params):
            version = client.get_model_version(found.model, found.number)
            try:
                release = stored_release(params, client, version, Path(scratch))
            except UserError as error:
                raise UserError(f"{found} cannot be published: {error}.") from error
        done = publish(params, release, release_name(params, release), dry_run=dry_run, progress=progress)
    if not dry_run and "published" in version.tags:
        with reaching(params):
            client.set_model_version_tag(found.model, found.number, "published", done.address)
    return done
