"""Model versions in MLflow's registry: list them, and find the one of a release."""

from dataclasses import dataclass

from flows.tracking.client import registry_client, registry_errors_as_user_errors, search_all
from hfi_core.errors import UserError
from hfi_core.params import Params


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
        """The release's digest."""
        return self.tags.get("hfi.release", "")

    @property
    def feedback(self) -> str:
        """Digest of the feedback that it rests on."""
        found = self.tags.get("hfi.feedback", "")
        return "" if found == "none" else found


def versions(params: Params) -> list[Version]:
    """Every version of every model that was registered from a release of ours, the newest first.

    Raises UserError if the registry is out of reach.
    """
    with registry_errors_as_user_errors(params):
        client = registry_client(params)
        aliases: dict[tuple[str, str], list[str]] = {}
        for model in search_all(client.search_registered_models):
            for alias, number in model.aliases.items():
                aliases.setdefault((model.name, str(number)), []).append(alias)
        found = [
            Version(
                one.name,
                str(one.version),
                tuple(sorted(aliases.get((one.name, str(one.version)), []))),
                one.tags,
                one.run_id,
            )
            for one in search_all(client.search_model_versions)
            if "hfi.release" in one.tags
        ]
    return sorted(found, key=lambda one: (one.model, -int(one.number)))


def find_version(params: Params, name: str) -> Version:
    """The version that a person means: MODEL (its newest), MODEL/NUMBER, MODEL@ALIAS, or an alias alone.

    Raises UserError if there is none, with the ones that there are.
    """
    known = versions(params)
    name = name.removeprefix("models:/")
    model, slash, number = name.rpartition("/")
    if slash:
        found = [one for one in known if one.model == model and one.number == number.removeprefix("v")]
    elif "@" in name:
        model, _, alias = name.partition("@")
        found = [one for one in known if one.model == model and alias in one.aliases]
    else:
        found = [one for one in known if one.model == name] or [
            one for one in known if one.model == params.release.model and name in one.aliases
        ]
    if not found:
        there = ", ".join(f"{one.model}/{one.number}" for one in known[:10]) or "none yet; `hfi register` makes one"
        raise UserError(f"There is no registered version {name!r}; there are: {there}.")
    return found[0]


def find_release(params: Params, name: str) -> Version:
    """As `find_version`; a number alone is a version of `release.model`."""
    return find_version(params, f"{params.release.model}/{name}" if name.isdecimal() else name)


def find_own_release(params: Params, name: str) -> Version:
    """As `find_release`, of `release.model` alone.

    Raises UserError if it is another model's.
    """
    found = find_release(params, name)
    if found.model != params.release.model:
        raise UserError(f"{found} is no version of {params.release.model}, which release.model in params.yaml names.")
    return found
