"""`hfi annotate`: a server on the network needs TLS, a host name and an account; each invitation is printed once."""

import subprocess
from collections.abc import Callable
from pathlib import Path

import httpx
import pytest

from flows.serving.annotation import ListenOptions, build_access
from hfi_core.annotation.security.accounts import open_accounts
from hfi_core.annotation.settings import LOOPBACK_HOSTS
from hfi_core.errors import UserError
from tests.support.annotation_server import serving, write_project
from tests.support.annotation_sign_in import PASSWORD
from tests.support.forking import REAL

PUBLIC = ("annotate.example.org",)


@pytest.fixture
def hfi(forked) -> Callable[..., subprocess.CompletedProcess]:
    """`hfi(folder, *arguments, code=0)`: run the command in a folder; it must end with `code`."""

    def run(folder: Path, *arguments: str, code: int = 0) -> subprocess.CompletedProcess:
        done = subprocess.run(["hfi", *arguments], cwd=folder, capture_output=True, text=True, env=forked)
        assert done.returncode == code, f"{done.returncode}\n{done.stdout}\n{done.stderr}"
        return done

    return run


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "::1", "127.0.0.2"])
def test_this_machine_alone_needs_no_account(tmp_path, host):
    access = build_access(ListenOptions(host, 0), tmp_path)
    assert not access.accounts and not access.secure and access.hosts == LOOPBACK_HOSTS


@pytest.mark.parametrize("host", ["0.0.0.0", "::", "192.0.2.7", "annotate.example.org", "127.0.0.1.example.org"])
def test_any_other_address_is_refused_without_tls_names_and_accounts(tmp_path, host):
    with pytest.raises(UserError, match="https only"):
        build_access(ListenOptions(host, 0), tmp_path)
    with pytest.raises(UserError, match="(?s)Nobody could sign in.*hfi annotate invite"):
        build_access(ListenOptions(host, 0, PUBLIC, proxy="127.0.0.1"), tmp_path)
    accounts = open_accounts(tmp_path)
    accounts.invite("Lea", "lead")
    access = build_access(ListenOptions(host, 0, PUBLIC, proxy="127.0.0.1"), tmp_path)
    assert access.accounts and access.secure and access.hosts == set(PUBLIC)


def test_a_proxy_makes_even_a_local_address_a_server_on_the_network(tmp_path):
    with pytest.raises(UserError, match="--name is required with --behind-proxy"):
        build_access(ListenOptions("127.0.0.1", 0, proxy="127.0.0.1"), tmp_path)
    with pytest.raises(UserError, match="Nobody could sign in"):
        build_access(ListenOptions("127.0.0.1", 0, PUBLIC, proxy="127.0.0.1"), tmp_path)


def test_half_of_a_certificate_and_names_that_are_none_are_refused(tmp_path):
    pem = tmp_path / "certificate.pem"
    pem.touch()
    with pytest.raises(UserError, match="belong together"):
        build_access(ListenOptions("0.0.0.0", 0, PUBLIC, certificate=pem), tmp_path)
    with pytest.raises(UserError, match="key.pem is missing"):
        build_access(ListenOptions("0.0.0.0", 0, PUBLIC, certificate=pem, key=tmp_path / "key.pem"), tmp_path)
    open_accounts(tmp_path).invite("Lea", "lead")
    for name in ("https://annotate.example.org", "annotate.example.org:443", "*", ""):
        with pytest.raises(UserError, match="not a host name"):
            build_access(ListenOptions("0.0.0.0", 0, (name,), proxy="127.0.0.1"), tmp_path)


def test_the_command_refuses_and_says_how_to_fix_it(tmp_path, hfi, forked):
    folder = write_project(tmp_path / "project", pictures=2)
    assert "--behind-proxy" in hfi(folder, "annotate", "--host", "0.0.0.0", code=2).stderr
    refused = hfi(folder, "annotate", "--host", "0.0.0.0", "--behind-proxy", "127.0.0.1", "--name", *PUBLIC, code=2)
    assert "hfi annotate invite" in refused.stderr
    assert "no concept 'nothing'" in hfi(folder, "annotate", "--concept", "nothing", code=2).stderr
    with httpx.Client() as client, serving(folder, forked) as server:
        assert client.get(f"{server.address}/sign-in").is_success
        assert "choose another --port" in hfi(folder, "annotate", "--port", str(server.port), code=2).stderr
    assert "params.yaml is missing" in hfi(tmp_path, "annotate", "accounts", code=2).stderr
    assert not (tmp_path / ".hfi").exists()


def test_people_are_invited_listed_and_taken_away(tmp_path, hfi):
    folder = write_project(tmp_path / "project", pictures=2)
    assert "Nobody yet" in hfi(folder, "annotate", "accounts").stdout
    printed = hfi(
        folder, "annotate", "invite", "Ana [b]", "--role", "lead", "--address", "https://a.example.org/"
    ).stdout
    link = printed.split()[0]
    assert link.startswith("https://a.example.org/invite/")
    token = link.rsplit("/", 1)[1]
    assert token not in hfi(folder, "annotate", "accounts").stdout
    accounts = open_accounts(folder / ".hfi")
    assert accounts.accept_invitation(token, PASSWORD).role == "lead"
    listed = hfi(folder, "annotate", "accounts").stdout
    assert "Ana [b]" in listed and "lead" in listed and "account" in listed
    hfi(folder, "annotate", "remove", "ana [B]")
    assert accounts.list_accounts() == []
    assert "no account" in hfi(folder, "annotate", "remove", "Ana", code=2).stderr


def test_behind_a_proxy_it_believes_the_proxy_alone_about_who_calls(tmp_path, hfi, forked):
    folder = write_project(tmp_path / "project", pictures=2)
    hfi(folder, "annotate", "invite", "Lea", "--role", "lead")
    options = ("--behind-proxy", "127.0.0.1", "--name", *PUBLIC)
    with serving(folder, forked, *options) as server, httpx.Client(base_url=server.address) as client:
        assert client.get("/sign-in").status_code == 400, "a name that is not the page's own"
        answer = client.get("/sign-in", headers={"Host": PUBLIC[0], "X-Forwarded-For": "203.0.113.7"})
        assert answer.status_code == 200 and "; Secure" in answer.headers["set-cookie"]
        assert "server" not in answer.headers
        assert client.get("/", headers={"Host": PUBLIC[0], "Accept": "text/html"}).status_code == 303


def test_ctrl_c_ends_it_with_nothing_left(tmp_path, forked):
    folder = write_project(tmp_path / "project", pictures=2)
    with serving(folder, forked | REAL) as server:
        server.stop()
        assert server.code == 130
        assert "Traceback" not in server.said
