"""Hears from MLflow that an alias was moved, and starts the deployment that settles promotions at once.

The schedule stays what counts: a webhook that is lost, forged or late costs a minute and changes nothing. What it
says is not believed either, only that somebody who knows the secret said it now.
"""

import base64
import binascii
import hashlib
import hmac
import json
import os
import time
from collections.abc import Callable

from fastapi import FastAPI, Request, Response

from hfi_core.errors import UserError

SECRET = "HFI_WEBHOOK_SECRET"
EVENT = "model_version_alias.created"
"""What MLflow's webhook has to be subscribed to."""
_SIGNATURE, _DELIVERY, _TIMESTAMP = "x-mlflow-signature", "x-mlflow-delivery-id", "x-mlflow-timestamp"
_LARGEST = 64 * 1024
"""Bytes of a request."""
_FRESH = 300.0
"""Seconds, as MLflow recommends: what is older may have been recorded and sent again."""
_SHORTEST_SECRET = 16

Start = Callable[[str], None]
"""Start the deployment, once for one key."""


def secret_of_environment() -> str:
    """The secret that MLflow's webhook was given.

    Raises UserError if the environment holds none, or a guessable one.
    """
    secret = os.environ.get(SECRET, "")
    if len(secret) < _SHORTEST_SECRET:
        raise UserError(
            f"{SECRET} must hold the secret of MLflow's webhook, {_SHORTEST_SECRET} characters at least: "
            f"`export {SECRET}=...`, the same as in mlflow.MlflowClient().create_webhook(secret=...)."
        )
    return secret


def app(model: str, alias: str, secret: str, start: Start) -> FastAPI:
    """The listener: `POST /` starts the deployment if the request is signed, fresh, and about this alias."""
    listener = FastAPI(openapi_url=None)

    @listener.post("/")
    async def hear(request: Request) -> Response:
        body = await _body(request)
        if body is None:
            return Response(status_code=413)
        headers = request.headers
        if not is_signed(
            secret, headers.get(_DELIVERY, ""), headers.get(_TIMESTAMP, ""), body, headers.get(_SIGNATURE, "")
        ):
            return Response(status_code=401)
        if not _is_about(body, model, alias):
            return Response(status_code=204)
        start(headers[_DELIVERY])
        return Response(status_code=202)

    return listener


def is_signed(secret: str, delivery: str, timestamp: str, body: bytes, signature: str) -> bool:
    """Whether MLflow's signature (`v1,` and base64 of HMAC-SHA256 over delivery, time and body) is right, and fresh."""
    if not timestamp.isascii() or not timestamp.isdecimal() or abs(time.time() - int(timestamp)) > _FRESH:
        return False
    scheme, _, given = signature.partition(",")
    try:
        told = base64.b64decode(given, validate=True)
    except (binascii.Error, ValueError):
        return False
    signed = f"{delivery}.{timestamp}.".encode() + body
    return scheme == "v1" and hmac.compare_digest(told, hmac.digest(secret.encode(), signed, hashlib.sha256))


async def _body(request: Request) -> bytes | None:
    """The request's body; None where it is too large to be MLflow's."""
    body = b""
    async for part in request.stream():
        body += part
        if len(body) > _LARGEST:
            return None
    return body


def _is_about(body: bytes, model: str, alias: str) -> bool:
    try:
        data = json.loads(body)["data"]
        return data["name"] == model and data["alias"] == alias
    except (ValueError, KeyError, TypeError):
        return False
