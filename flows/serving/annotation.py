"""Starts the annotation page: decides who may come in, holds the store open, and runs until Ctrl-C."""

import ipaddress
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path

from flows.runtime.network import is_loopback, listen
from hfi_core.annotation.settings import Access
from hfi_core.errors import UserError

_EVERYWHERE = frozenset({"0.0.0.0", "::", ""})


@dataclass(frozen=True)
class Door:
    """Where the page listens, and what stands before it."""

    host: str
    port: int
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None

    @property
    def local(self) -> bool:
        """Only this machine can reach it."""
        return is_loopback(self.host) and self.proxy is None and self.certificate is None

    def address(self, port: int) -> str:
        """What to open in a browser."""
        if self.proxy:
            return f"https://{_public(self)}"
        return f"{'https' if self.certificate else 'http'}://{_public(self)}:{port}"


def access_of(door: Door, private: Path) -> Access:
    """Who may come in through a door.

    Raises UserError, saying how to mend it, for a door to the network without TLS, names or accounts.
    """
    if door.local:
        return Access.loopback(private)
    if (door.certificate is None) != (door.key is None):
        raise UserError("--certificate and --key belong together: name both.")
    for path in filter(None, (door.certificate, door.key)):
        if not path.is_file():
            raise UserError(f"{path} is missing; --certificate and --key name PEM files.")
    if door.certificate is None and door.proxy is None:
        raise UserError(
            f"--host {door.host} opens the page to the network, where it is served over https only.\n"
            "  To mend it: give --certificate and --key, or --behind-proxy ADDRESS if a proxy speaks TLS for it."
        )
    if not door.names and (door.host in _EVERYWHERE or door.proxy):
        raise UserError(
            "By which name do browsers call this page? Requests under any other name are refused.\n"
            "  To mend it: give --name annotate.example.org."
        )
    _require_somebody(private)
    names = frozenset(_bare(name) for name in door.names) or frozenset({_bare(door.host)})
    return Access(private, accounts=True, secure=True, hosts=names)


def serve(door: Door, private: Path, concept: str | None) -> None:
    """Run the page of the project in the current folder."""
    import uvicorn

    from flows.runtime import logs
    from flows.runtime.console import info, warn
    from hfi_core.annotation.app import create_app
    from hfi_core.annotation.service.qualification import gold_left_over
    from hfi_core.annotation.settings import ServerSettings
    from hfi_core.feedback.store import open_store
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params = load_params(PARAMS)
    if concept is not None:
        params.concept(concept)
    access = access_of(door, private)
    listening = listen(door.host, door.port)
    with listening, open_store(params.feedback.database_url) as store:
        app = create_app(ServerSettings(params=params, store=store, folder=Path(), access=access))
        for warning in gold_left_over(app.state.page):
            warn(warning)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5,
            # Who a request comes from is believed of the named proxy alone.
            proxy_headers=door.proxy is not None, forwarded_allow_ips=door.proxy or "",
            ssl_certfile=door.certificate, ssl_keyfile=door.key,
            **logs.uvicorn_options(),
        )  # fmt: skip
        page = f"/judge/{concept}" if concept else "/"
        info(f"Annotation page: {door.address(listening.getsockname()[1])}{page}")
        info("Open it in a browser; Ctrl-C ends it. What was judged is saved at once.")
        uvicorn.Server(config).run(sockets=[listening])


def _require_somebody(private: Path) -> None:
    from hfi_core.annotation.security.accounts import open_accounts

    accounts = open_accounts(private)
    try:
        if not accounts.accounts() and not accounts.invitations():
            raise UserError(
                "Nobody could sign in: beyond this machine the page needs accounts.\n"
                "  To mend it: `hfi annotate invite NAME --role lead` prints a link for the first person."
            )
    finally:
        accounts.close()


def _bare(name: str) -> str:
    """A host's name as a request's Host header has it, without port."""
    with suppress(ValueError):
        return f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    if not name or any(letter in name for letter in "/:@*? "):
        raise UserError(f"--name {name!r} is no host's name; give it without https:// and port.")
    return name.lower()


def _public(door: Door) -> str:
    return _bare(door.names[0]) if door.names else _bare(door.host)
