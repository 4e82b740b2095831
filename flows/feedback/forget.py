"""Forget an annotator: delete the link to the person and, on request, the judgements."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flows.releases.versions import list_versions
from hfi_core.annotation.service.state import STATE_FILE, ServerState
from hfi_core.errors import UserError, listed
from hfi_core.feedback.store import Store, open_store, store_exists
from hfi_core.feedback.store.pseudonyms import open_people
from hfi_core.params import Params
from hfi_core.pipeline.layout import HUMAN_EVALUATION, HUMAN_EVALUATION_STORE, STATE


def forget_annotator(params: Params, annotator: str, judgements: bool) -> Iterator[str]:
    """Delete the link from a person to a pseudonym and, on request, the judgements.

    Yields one line per step and per registered model that still depends on them. `annotator` is a name or a pseudonym.
    Raises UserError if it is unknown, or if the person could still sign in: that would create a new link.
    """
    people = open_people()
    pseudonym = people.find(annotator) or annotator
    _require_no_account(people.name_of(pseudonym) or annotator)
    judged_evaluation = _is_in_human_evaluation(pseudonym)
    if judged_evaluation:
        yield from _forget_human_evaluation(pseudonym, judgements)
    if not store_exists(params.feedback.database_url):
        if not people.forget(pseudonym) and not judged_evaluation:
            raise _unknown_annotator(annotator, [])
        yield from _forget_page_data(pseudonym)
        yield f"The link from {pseudonym} to a person is deleted. This project has no store."
        return
    with open_store(params.feedback.database_url) as store:
        known = store.list_annotators()
        if pseudonym not in known and people.name_of(pseudonym) is None and not judged_evaluation:
            raise _unknown_annotator(annotator, known)
        yield from _describe_dependents(params, store, pseudonym)
        count = store.forget(pseudonym, judgements=judgements)
    linked = people.forget(pseudonym)
    yield from _forget_page_data(pseudonym)
    if linked:
        yield f"The link from {pseudonym} to a person is deleted; an open page asks for the name again."
    else:
        yield f"{pseudonym} was not linked to a person in this project."
    if judgements:
        yield f"{count} judgement(s) by {pseudonym} are deleted; the next `hfi run` makes models without them."
        yield "Earlier snapshots in DVC's cache and remotes still hold them: `dvc gc` deletes what no commit needs."
    else:
        yield f"The judgements by {pseudonym} stay; `--judgements` deletes them too."


def _forget_page_data(pseudonym: str) -> Iterator[str]:
    state_file = STATE / STATE_FILE
    if state_file.exists():
        with closing(ServerState(state_file)) as state:
            state.forget(pseudonym)
        yield f"The annotation server's data on {pseudonym} is deleted: consent, settings, gold answers, exposure."


def _is_in_human_evaluation(pseudonym: str) -> bool:
    if not store_exists(HUMAN_EVALUATION_STORE):
        return False
    with open_store(HUMAN_EVALUATION_STORE) as store:
        return pseudonym in store.list_annotators()


def _forget_human_evaluation(pseudonym: str, judgements: bool) -> Iterator[str]:
    with open_store(HUMAN_EVALUATION_STORE) as store:
        count = store.forget(pseudonym, judgements=judgements)
    if judgements:
        yield f"{count} judgement(s) by {pseudonym} about batches in {HUMAN_EVALUATION} are deleted."
        yield "`hfi human-evaluation collect NAME` writes their files again without them."


def _require_no_account(name: str) -> None:
    from hfi_core.annotation.security.accounts import ACCOUNTS, open_accounts

    if not (STATE / ACCOUNTS).exists():
        return
    with closing(open_accounts(STATE)) as accounts:
        if accounts.can_sign_in(name):
            raise UserError(
                f"{name} has an account or an open invitation, and could sign in again under this name.\n"
                f"  To fix this: `hfi annotate remove {shlex.quote(name)}`, then forget them."
            )


def _unknown_annotator(annotator: str, known: list[str]) -> UserError:
    return UserError(f"There is no annotator {annotator!r}; the store has {listed(known, 10) or 'nobody yet'}.")


def _describe_dependents(params: Params, store: Store, pseudonym: str) -> Iterator[str]:
    snapshots = {saved.sha256: saved for saved in store.list_snapshots_with(pseudonym)}
    if not snapshots:
        yield f"No snapshot holds judgements by {pseudonym}, so no model depends on them."
        return
    yield f"{len(snapshots)} snapshot(s) of {Path(params.feedback.file)} hold judgements by {pseudonym}."
    try:
        dependents = [version for version in list_versions(params) if version.feedback in snapshots]
    except UserError as error:
        yield f"The registered models that depend on them are unknown. {error}"
        return
    for version in dependents:
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        yield f"  {version}{aliases} depends on snapshot {version.feedback}"
    if not dependents:
        yield "  No registered model depends on them."
