"""`barnabas-quant users`: an operator at a gateway that runs."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from barnabas_quant.cli import main
from barnabas_quant.endpoints import Endpoints, Started, run_folder, write_endpoints

from .common import PASSWORD, GatewayProcess


@pytest.fixture
def platform(closed: GatewayProcess) -> Path:
    """Give a data folder that says where the gateway is, as that of a running platform does."""
    me = Started.of(os.getpid())
    write_endpoints(closed.data, Endpoints(kafka="localhost:1", gateway=closed.url, supervisor=me))
    return closed.data


def test_add_list_password_remove(
    platform: Path, closed: GatewayProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    data = ["--data", str(platform)]
    secret = tmp_path / "password"
    secret.write_text(f"{PASSWORD}\r\nnot this\n")
    assert main(["users", "list", *data]) == 0
    assert "no users yet" in capsys.readouterr().out
    assert main(["users", "add", "cli.user", "--password-file", str(secret), *data]) == 0
    assert main(["users", "add", "cli.owner", "--owner", "--password-file", str(secret), *data]) == 0
    capsys.readouterr()
    assert main(["users", "list", *data]) == 0
    rows = [line.split()[:2] for line in capsys.readouterr().out.splitlines()]
    assert rows == [["cli.owner", "owner"], ["cli.user", "user"]]
    browser = closed.client()
    assert browser.sign_in("cli.user").status_code == 200
    secret.write_text("another one")
    assert main(["users", "password", "CLI.user", "--password-file", str(secret), *data]) == 0
    assert browser.who()[0] == 401
    assert browser.sign_in("cli.user", "another one").status_code == 200
    assert main(["users", "remove", "cli.user", *data]) == 0
    assert browser.who()[0] == 401
    assert main(["users", "remove", "cli.user", *data]) == 1
    assert "404: no such user" in capsys.readouterr().err
    assert main(["users", "add", "cli.owner", "--password-file", str(secret), *data]) == 1
    assert "409: the name cli.owner is taken" in capsys.readouterr().err
    assert main(["users", "remove", "../session", *data]) == 1
    assert main(["users", "remove", "cli.owner", *data]) == 0


def test_a_password_is_asked_for_twice_and_not_shown(platform: Path, closed: GatewayProcess) -> None:
    def ask(*answers: str) -> tuple[int, str, bytes]:
        keyboard, terminal = os.openpty()
        process = subprocess.Popen(
            [sys.executable, "-m", "barnabas_quant", "users", "add", "typed", "--data", str(platform)],
            stdin=terminal, stdout=subprocess.PIPE, stderr=subprocess.PIPE, start_new_session=True,
        )  # fmt: skip
        assert process.stderr is not None
        said = b""
        for answer in answers:
            while not said.endswith(b": "):
                part = process.stderr.read(1)
                assert part, said
                said += part
            said += b"\n"
            os.write(keyboard, f"{answer}\n".encode())
        output, errors = process.communicate(timeout=60)
        os.set_blocking(keyboard, False)
        try:
            echoed = os.read(keyboard, 10_000)
        except BlockingIOError:
            echoed = b""
        os.close(keyboard)
        os.close(terminal)
        return process.returncode, (output + said + errors).decode(), echoed

    code, said, echoed = ask(PASSWORD, "something else")
    assert code == 2
    assert "two different passwords" in said
    code, said, echoed = ask(PASSWORD, PASSWORD)
    assert (code, PASSWORD in said, PASSWORD.encode() in echoed) == (0, False, False), said
    assert closed.client().sign_in("typed").status_code == 200


def test_clear_words_where_there_is_no_gateway(
    closed: GatewayProcess, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def fails(*arguments: str) -> str:
        assert main(["users", "list", *arguments]) in (1, 2)
        return capsys.readouterr().err

    empty = str(tmp_path)
    assert "no platform runs in" in fails("--data", empty)
    assert "cannot read" in fails("--data", empty, "--gateway", closed.url)
    assert "give --token-file" in fails("--data", f"{empty}/none", "--gateway", closed.url)
    token = ["--token-file", str(closed.token_file)]
    assert "no gateway answers" in fails("--data", empty, "--gateway", "http://127.0.0.1:1", *token)
    assert "no gateway answers" in fails("--data", empty, "--gateway", "nonsense", *token)
    run_folder(tmp_path).mkdir()
    write_endpoints(tmp_path, Endpoints(kafka="localhost:1", supervisor=Started.of(os.getpid())))
    assert "without a gateway" in fails("--data", empty, *token)
    wrong = tmp_path / "token"
    wrong.write_text("x" * 43)
    assert "401: this token is not good" in fails("--data", empty, "--gateway", closed.url, "--token-file", str(wrong))
