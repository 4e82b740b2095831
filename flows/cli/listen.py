"""`hfi listen`: MLflow's webhook, so that a promotion need not wait for the schedule."""

from typing import Annotated

import typer


def listen(
    deployment: Annotated[str, typer.Argument(help="The deployment that settles promotions: promotions/NAME.")],
    host: Annotated[str, typer.Option(help="Address to listen at; the default is this machine only.")] = "127.0.0.1",
    port: Annotated[int, typer.Option(min=0, max=65535, help="Port; 0 takes a free one.")] = 8585,
) -> None:
    """Start the deployment `promotions/NAME` whenever MLflow says that the alias `champion` was moved; until Ctrl-C.

    MLflow's webhook (event model_version_alias.created) and HFI_WEBHOOK_SECRET here hold the same secret; what is not
    signed by it, or is older than five minutes, is refused.
    """
    import uvicorn

    from flows.orchestration.deployment import require_server
    from flows.orchestration.runs import require_deployment, start_once
    from flows.releases.champion import CHAMPION
    from flows.runtime.console import say
    from flows.runtime.logs import for_uvicorn
    from flows.runtime.network import listen as listen_at
    from flows.serving.promotion_webhook import app, secret_of_environment
    from hfi_core.params import read_params
    from hfi_core.pipeline.layout import PARAMS

    params, secret = read_params(PARAMS), secret_of_environment()
    require_server()
    require_deployment(deployment)
    listener = app(params.release.model, CHAMPION, secret, lambda key: start_once(deployment, key, "webhook"))
    with listen_at(host, port) as socket:
        address = f"http://{host}:{socket.getsockname()[1]}/"
        say(f"Listening at {address} for promotions of {params.release.model}. Ctrl-C ends it.")
        config = uvicorn.Config(listener, log_level="warning", server_header=False, **for_uvicorn())
        uvicorn.Server(config).run(sockets=[socket])
