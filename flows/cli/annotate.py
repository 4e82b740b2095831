"""`hfi annotate`: serve the page on which people judge, and manage their accounts."""

from enum import StrEnum
from pathlib import Path
from typing import Annotated

import typer

app = typer.Typer(help="Serve the annotation page; invite people to it.")


class Role(StrEnum):
    """What an account may do: judge, or judge and review."""

    annotator = "annotator"
    lead = "lead"


@app.callback(invoke_without_command=True)
def annotate(
    context: typer.Context,
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8484,
    concept: Annotated[str | None, typer.Option(help="Print the address of this concept's questions.")] = None,
    human_evaluation: Annotated[
        str | None,
        typer.Option(metavar="BATCH", help="Ask about the pictures of this batch only; see `hfi human-evaluation`."),
    ] = None,
    name: Annotated[
        list[str] | None, typer.Option(help="Name by which browsers call this host; may be given several times.")
    ] = None,
    certificate: Annotated[Path | None, typer.Option(help="TLS certificate, PEM with its chain.")] = None,
    key: Annotated[Path | None, typer.Option(help="Private key of the certificate.")] = None,
    behind_proxy: Annotated[
        str | None,
        typer.Option(metavar="ADDRESS", help="Address of a proxy that speaks TLS for this server, such as 127.0.0.1."),
    ] = None,
) -> None:
    """Serve the annotation page until Ctrl-C.

    On this machine it needs no account. From other machines people sign in, over https: run `hfi annotate invite NAME`
    first, then give either `--certificate` and `--key`, or `--behind-proxy`.
    """
    if context.invoked_subcommand is not None:
        return
    from flows.serving.annotation import ListenOptions, serve
    from hfi_core.pipeline.layout import STATE

    options = ListenOptions(host, port, tuple(name or ()), certificate, key, behind_proxy)
    serve(options, STATE, concept, human_evaluation)


@app.command()
def invite(
    name: Annotated[str, typer.Argument(help="The person's name.")],
    role: Annotated[Role, typer.Option(help="An annotator judges; a lead also reviews.")] = Role.annotator,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days until the link expires.")] = 7,
    address: Annotated[str, typer.Option(help="Address under which people reach the page.")] = "https://HOST",
) -> None:
    """Print a link that works once. The person sets a password with it, or a new one if they have an account."""
    from flows.runtime.console import info
    from hfi_core.annotation.security.accounts import open_accounts

    accounts = open_accounts(_private_folder())
    token = accounts.invite(name, role.value, days * 24 * 3600.0)
    info(f"{address.rstrip('/')}/invite/{token}")
    info(f"Give it to {name} only. It works once, for {days} day(s), and replaces earlier links of theirs.")


@app.command("accounts")
def show_accounts() -> None:
    """List the accounts, and the links that are still valid."""
    from datetime import UTC, datetime

    from rich.table import Table

    from flows.runtime.console import info, out
    from hfi_core.annotation.security.accounts import open_accounts

    store = open_accounts(_private_folder())
    table = Table("name", "role", "state", box=None, pad_edge=False)
    invitations = store.list_invitations()
    accounts = store.list_accounts()
    if not accounts and not invitations:
        info("Nobody yet: `hfi annotate invite NAME --role lead` prints the first link.")
        return
    for account in accounts:
        table.add_row(_plain(account.name), account.role, "account")
    for link in invitations:
        end = datetime.fromtimestamp(link.expires_at, UTC).strftime("%Y-%m-%d %H:%M UTC")
        table.add_row(_plain(link.name), link.role, f"link open until {end}")
    out.print(table)


@app.command()
def remove(name: Annotated[str, typer.Argument(help="The name of the account.")]) -> None:
    """Delete an account, its sessions and its link. Judgements stay; `hfi feedback forget` deletes those."""
    from flows.runtime.console import info
    from hfi_core.annotation.security.accounts import open_accounts
    from hfi_core.errors import UserError

    if not open_accounts(_private_folder()).remove(name):
        raise UserError(f"There is no account and no link for {name!r}; `hfi annotate accounts` lists them.")
    info(f"{name} may no longer sign in.")


def _private_folder() -> Path:
    """Return the folder of the accounts. It must not be created outside a project."""
    from hfi_core.errors import UserError
    from hfi_core.pipeline.layout import PARAMS, STATE

    if not PARAMS.exists():
        raise UserError(f"{PARAMS} is missing: run this in a project's folder.")
    return STATE


def _plain(text: str) -> str:
    from rich.markup import escape

    return escape(text)
