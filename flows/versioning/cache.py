"""DVC's cache: find the objects that nothing references, and have `dvc gc` delete them.

DVC keeps what its workspace references. Further references are given to it as a second project, which holds nothing
but pointers to data.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import yaml

from flows.versioning.pointers import LEGACY, CachedObject
from flows.versioning.repo import open_repository
from hfi_core.errors import UserError


def find_unreferenced(references: Iterable[CachedObject]) -> dict[CachedObject, Path]:
    """Return the objects in the cache that neither the workspace nor `references` name; delete nothing.

    Raises UserError if other projects may have data in the same cache.
    """
    from dvc.repo import Repo

    with open_repository() as repo, _pointer_project(repo, references) as pointers, Repo(str(pointers)) as other:
        # As `dvc gc` does it. Force: a folder whose list of files is lost can only come from a remote, and whole.
        used = {
            (info.name, info.value)
            for project in (repo, other)
            for infos in project.used_objs(force=True).values()
            for info in infos
        }
        unreferenced = {}
        for _, cache in repo.cache.by_scheme():
            for oid in cache.all() if cache else ():
                if (cache.hash_name, oid) not in used:
                    path = Path(cache.oid_to_path(oid))
                    unreferenced[CachedObject(cache.hash_name, oid, path.stat().st_size, 1)] = path
        return unreferenced


def delete_unreferenced(references: Iterable[CachedObject]) -> None:
    """Delete what `find_unreferenced` returns. Stopped at any moment, it has deleted nothing else.

    Raises UserError if other projects may have data in the same cache.
    """
    with open_repository() as repo, _pointer_project(repo, references) as pointers:
        repo.gc(workspace=True, repos=[str(pointers)], force=True)


@contextmanager
def _pointer_project(repo: Any, references: Iterable[CachedObject]) -> Iterator[Path]:
    """Write a DVC project on the same cache that holds nothing but pointers."""
    cache = Path(repo.cache.local_cache_dir).resolve()
    if not cache.is_relative_to(Path(repo.root_dir).resolve()):
        raise UserError(
            f"DVC's cache {cache} lies outside this project. Other projects may share it, and what they need is not "
            "known here, so nothing is deleted.\nTo fix this: run `dvc gc --projects` with the folders of all of them."
        )
    with TemporaryDirectory() as scratch:
        folder = Path(scratch)
        (folder / ".dvc").mkdir()
        core = f"[core]\n    no_scm = true\n    analytics = false\n    site_cache_dir = {folder / '.dvc/site'}\n"
        (folder / ".dvc/config").write_text(f"{core}[cache]\n    dir = {cache}\n", encoding="utf-8")
        outs = {
            (data.oid, data.hash): _out(data) for data in sorted(references, key=lambda data: (data.oid, data.hash))
        }
        if outs:
            (folder / "references.dvc").write_text(yaml.safe_dump({"outs": list(outs.values())}), encoding="utf-8")
        yield folder


def _out(data: CachedObject) -> dict[str, Any]:
    named = {} if data.hash == LEGACY else {"hash": data.hash}
    return named | {"md5": data.oid, "size": data.bytes, "nfiles": data.files, "path": f"{data.hash}-{data.oid}"}
