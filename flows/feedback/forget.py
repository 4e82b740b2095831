"""Forgetting an annotator: the link to the person, on request the judgements, and what rests on them."""

import shlex
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

from flows.releases.versions import versions
from hfi_core.annotation.service.state import STATE_FILE, ServerState
from hfi_core.errors import UserError, listed
from hfi_core.feedback.store import Store, is_there, open_store
from hfi_core.feedback.store.pseudonyms import open_people
from hfi_core.params import Params
from hfi_core.pipeline.layout import STATE


def forget_annotator(params: Params, annotator: str, judgements: bool) -> Iterator[str]:
    """Forget, and tell line by line what was done and what rests on this annotator.

    Raises UserError if nobody by that name or pseudonym is known, or if they could still sign in: that would make a new
    link, and keep the name.
    """
    people = open_people()
    pseudonym = people.find(annotator) or annotator
    _refuse_an_account(people.name_of(pseudonym) or annotator)
    if not is_there(params.feedback.database_url):
        if not people.forget(pseudonym):
            raise _nobody(annotator, [])
        yield f"The link from {pseudonym} to a person is deleted. There is no store here."
        return
    with open_store(params.feedback.database_url) as store:
        known = store.annotators()
        if pseudonym not in known and people.name_of(pseudonym) is None:
            raise _nobody(annotator, known)
        yield from _told(params, store, pseudonym)
        count = store.forget(pseudonym, judgements=judgements)
    linked = people.forget(pseudonym)
    page = STATE / STATE_FILE
    if page.exists():
        with closing(ServerState(page)) as state:
            state.forget(pseudonym)
        yield f"What the annotation page kept of {pseudonym} is deleted: consent, settings, gold, what was shown."
    if linked:
        yield f"The link from {pseudonym} to a person is deleted; an open page asks for the name anew."
    else:
        yield f"{pseudonym} was linked to nobody here."
    if judgements:
        yield f"{count} judgement(s) by {pseudonym} are deleted; the next `hfi run` makes models without them."
        yield "Earlier snapshots hold them still, in DVC's cache and remotes: `dvc gc` takes out what no commit needs."
    else:
        yield f"What {pseudonym} judged stays; `--judgements` deletes it, too."


def _refuse_an_account(name: str) -> None:
    from hfi_core.annotation.security.accounts import ACCOUNTS, open_accounts

    if not (STATE / ACCOUNTS).exists():
        return
    with closing(open_accounts(STATE)) as accounts:
        if accounts.knows(name):
            raise UserError(
                f"{name} has an account or an open invitation: the name is kept there, and would be linked anew.\n"
                f"  To mend it: `hfi annotate remove {shlex.quote(name)}`, then forget them."
            )


def _nobody(annotator: str, known: list[str]) -> UserError:
    return UserError(f"Nobody is known as {annotator!r}; the store has {listed(known, 10) or 'nobody yet'}.")


def _told(params: Params, store: Store, pseudonym: str) -> Iterator[str]:
    held = {saved.sha256: saved for saved in store.snapshots_with(pseudonym)}
    if not held:
        yield f"No snapshot holds judgements by {pseudonym}, so no model rests on them."
        return
    yield f"{len(held)} snapshot(s) of {Path(params.feedback.file)} hold judgements by {pseudonym}."
    try:
        resting = [version for version in versions(params) if version.feedback in held]
    except UserError as error:
        yield f"Which registered models rest on them could not be asked. {error}"
        return
    for version in resting:
        aliases = f" ({', '.join(version.aliases)})" if version.aliases else ""
        yield f"  {version}{aliases} rests on snapshot {version.feedback}"
    if not resting:
        yield "  No registered model rests on them."
