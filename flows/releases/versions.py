"""List the model versions in MLflow's registry, and find the one that a person means."""

from dataclasses import dataclass

from flows.tracking.client import registry_client, registry_errors_as_user_errors, search_all
from hfi_core.errors import UserError, listed
from hfi_core.params import Params

_MAX_NAMED = 10
"""Versions that a message names."""


@dataclass(frozen=True)
class Version:
    """A registered version and its tags."""

    model: str
    number: str
    aliases: tuple[str, ...]
    tags: dict[str, str]
    run: str
    """The run that registered it."""

    def __str__(self) -> str:
        return f"{self.model} version {self.number}"

    @property
    def release(self) -> str:
        """Return the release's digest."""
        return self.tags.get("hfi.release", "")

    @property
    def feedback(self) -> str:
        """Return the digest of the feedback that it was made from; "" if there is none."""
        digest = self.tags.get("hfi.feedback", "")
        return "" if digest == "none" else digest


def list_versions(params: Params) -> list[Version]:
    """Return every version of every model that `hfi register` registered, the newest first.

    Raises UserError if the registry is out of reach.
    """
    with registry_errors_as_user_errors(params.tracking):
        client = registry_client(params)
        aliases: dict[tuple[str, str], list[str]] = {}
        for model in search_all(client.search_registered_models):
            for alias, number in model.aliases.items():
                aliases.setdefault((model.name, str(number)), []).append(alias)
        versions = [
            Version(each.name, number, tuple(sorted(aliases.get((each.name, number), []))), each.tags, each.run_id)
            for each in search_all(client.search_model_versions)
            if "hfi.release" in each.tags and (number := str(each.version))
        ]
    return sorted(versions, key=lambda version: (version.model, -int(version.number)))


def find_release(params: Params, name: str) -> Version:
    """Return the version that a person means: MODEL (its newest), MODEL/NUMBER, MODEL@ALIAS, or an alias alone.

    A number alone is a version of `release.model`.

    Raises UserError if there is no such version; the message names those that exist.
    """
    versions = list_versions(params)
    if name.isdecimal():
        name = f"{params.release.model}/{name}"
    name = name.removeprefix("models:/")
    model, slash, number = name.rpartition("/")
    if slash:
        matches = [each for each in versions if each.model == model and each.number == number.removeprefix("v")]
    elif "@" in name:
        model, _, alias = name.partition("@")
        matches = [each for each in versions if each.model == model and alias in each.aliases]
    else:
        matches = [each for each in versions if each.model == name]
        matches += [each for each in versions if each.model == params.release.model and name in each.aliases]
    if not matches:
        known = listed([f"{each.model}/{each.number}" for each in versions], _MAX_NAMED)
        raise UserError(
            f"There is no registered version {name!r}; there are: {known or 'none yet; `hfi register` creates one'}."
        )
    return matches[0]


def find_own_release(params: Params, name: str) -> Version:
    """Return the version as `find_release` does, of `release.model` only.

    Raises UserError if it belongs to another model.
    """
    version = find_release(params, name)
    if version.model != params.release.model:
        raise UserError(
            f"{version} is not a version of {params.release.model}, which release.model in params.yaml names."
        )
    return version
