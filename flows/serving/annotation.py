"""Start the annotation server: check who may reach it, open the store, and serve until Ctrl-C."""

import ipaddress
from contextlib import closing, suppress
from dataclasses import dataclass
from pathlib import Path

from flows.runtime.network import is_loopback, listen
from hfi_core.annotation.settings import Access
from hfi_core.errors import UserError
from hfi_core.params import Params

_WILDCARD_HOSTS = frozenset({"0.0.0.0", "::", ""})


@dataclass(frozen=True)
class ListenOptions:
    """Address, TLS files and proxy of the server, as the options of `hfi annotate` give them."""

    host: str
    port: int
    names: tuple[str, ...] = ()
    certificate: Path | None = None
    key: Path | None = None
    proxy: str | None = None

    @property
    def is_local(self) -> bool:
        """Whether only this machine can reach the server."""
        return is_loopback(self.host) and self.proxy is None and self.certificate is None

    def format_url(self, port: int) -> str:
        """Return the address to open in a browser."""
        if self.proxy:
            return f"https://{_public_host(self)}"
        return f"{'https' if self.certificate else 'http'}://{_public_host(self)}:{port}"


def build_access(options: ListenOptions, private: Path) -> Access:
    """Return who may reach a server with these options.

    Raises UserError if the server would be on the network without TLS, host name or accounts.
    """
    if options.is_local:
        return Access.loopback(private)
    if (options.certificate is None) != (options.key is None):
        raise UserError("--certificate and --key belong together: give both.")
    for path in filter(None, (options.certificate, options.key)):
        if not path.is_file():
            raise UserError(f"{path} is missing; --certificate and --key name PEM files.")
    if options.certificate is None and options.proxy is None:
        raise UserError(
            f"--host {options.host} opens the page to the network, where it is served over https only.\n"
            "  To fix this: give --certificate and --key, or --behind-proxy ADDRESS if a proxy speaks TLS."
        )
    if not options.names and (options.host in _WILDCARD_HOSTS or options.proxy):
        reason = f"--behind-proxy {options.proxy}" if options.proxy else f"--host {options.host}"
        raise UserError(
            f"--name is required with {reason}: requests under other host names are refused.\n"
            "  To fix this: give the host name that browsers use, for example --name annotate.example.org."
        )
    _require_accounts(private)
    hosts = frozenset(map(_normalize_host, options.names or (options.host,)))
    return Access(private, accounts=True, secure=True, hosts=hosts)


def serve(options: ListenOptions, private: Path, concept: str | None, batch: str | None = None) -> None:
    """Serve the project in the current folder until Ctrl-C: its concepts, or only the batch of a human evaluation."""
    import uvicorn

    from flows.runtime import logs
    from flows.runtime.console import info, warn
    from flows.serving.connections import LimitedListener, make_protocol
    from hfi_core.annotation.app import create_app
    from hfi_core.annotation.service.qualification import describe_exhausted_gold, describe_recognizable_gold
    from hfi_core.annotation.settings import ServerSettings
    from hfi_core.feedback.store import open_store
    from hfi_core.params import load_params
    from hfi_core.pipeline.layout import PARAMS

    params, pictures = load_params(PARAMS), None
    if batch is not None:
        if concept is not None:
            raise UserError("--human-evaluation asks about the concept of its batch: leave out --concept.")
        params, pictures = open_batch(params, batch)
        concept = batch
    elif concept is not None:
        params.concept(concept)
    access = build_access(options, private)
    listener = LimitedListener(listen(options.host, options.port))
    with listener, open_store(params.feedback.database_url) as store:
        app = create_app(ServerSettings(params, store, Path(), access, pictures))
        workspace = app.state.workspace
        for warning in describe_exhausted_gold(workspace) + describe_recognizable_gold(workspace):
            warn(warning)
        config = uvicorn.Config(
            app, log_level="warning", access_log=False, server_header=False, timeout_graceful_shutdown=5,
            # uvloop accepts connections without asking the listener.
            http=make_protocol(listener), loop="asyncio", ws="none",
            # Only the named proxy may say where a request comes from.
            proxy_headers=options.proxy is not None, forwarded_allow_ips=options.proxy or "",
            ssl_certfile=options.certificate, ssl_keyfile=options.key,
            **logs.uvicorn_options(),
        )  # fmt: skip
        path = f"/judge/{concept}" if concept else "/"
        info(f"Annotation page: {options.format_url(listener.getsockname()[1])}{path}")
        info("Open it in a browser; Ctrl-C ends it. Every answer is saved at once.")
        uvicorn.Server(config).run(sockets=[listener])


def open_batch(params: Params, name: str) -> tuple[Params, Path]:
    """Return params that ask about the batch of a human evaluation alone, and the folder of its pictures.

    Raises UserError if there is no such batch.
    """
    from hfi_core.evaluation.human_batch import ask_about, read_batch
    from hfi_core.pipeline.layout import HUMAN_EVALUATION, HUMAN_EVALUATION_STORE

    batch = read_batch(HUMAN_EVALUATION / name)
    return ask_about(params, batch, HUMAN_EVALUATION_STORE), batch.pictures


def _require_accounts(private: Path) -> None:
    from hfi_core.annotation.security.accounts import open_accounts

    with closing(open_accounts(private)) as accounts:
        if not accounts.list_accounts() and not accounts.list_invitations():
            raise UserError(
                "Nobody could sign in: a server on the network needs accounts, and there are none.\n"
                "  To fix this: `hfi annotate invite NAME --role lead` prints a link for the first person."
            )


def _normalize_host(name: str) -> str:
    """Return a host name as the header Host of a request spells it, without port."""
    with suppress(ValueError):
        return f"[{name}]" if ipaddress.ip_address(name).version == 6 else name
    if not name or any(letter in name for letter in "/:@*? "):
        raise UserError(f"--name {name!r} is not a host name; give it without https:// and port.")
    return name.lower()


def _public_host(options: ListenOptions) -> str:
    return _normalize_host(options.names[0] if options.names else options.host)
