"""A certificate that nobody vouches for: the password is not sent."""

from __future__ import annotations

import shutil
import socket
import ssl
import subprocess
import threading
from pathlib import Path

import pytest

from ci_scripts.gerrit import GerritFailed, Review
from ci_scripts.gerrit.pace import Pace, Patience
from ci_scripts.gerrit.rest import RestGerrit
from ci_scripts.gerrit.rest_connection import RestConnection
from tests.fakes.fake_time import FakeTime


@pytest.mark.skipif(shutil.which("openssl") is None, reason="there is no openssl program to make a certificate")
def test_a_certificate_that_is_not_valid(tmp_path: Path) -> None:
    key, certificate = tmp_path / "key.pem", tmp_path / "certificate.pem"
    words = (
        f"req -x509 -newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=localhost -keyout {key}"
    )
    subprocess.run(["openssl", *words.split(), "-out", str(certificate)], check=True, capture_output=True, timeout=60)
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate, key)
    received: list[bytes] = []

    def serve(server: socket.socket) -> None:
        connection, _ = server.accept()
        try:
            with context.wrap_socket(connection, server_side=True) as wrapped:
                received.append(wrapped.recv(100))
        except (OSError, ssl.SSLError):
            connection.close()

    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=serve, args=(server,), daemon=True)
        thread.start()
        time = FakeTime()
        patience = Patience(sleep=time.sleep, clock=time.clock)
        url = f"https://localhost:{server.getsockname()[1]}"
        gerrit = RestGerrit(RestConnection(url, "demo-ci", "secret", patience, Pace(None, patience)))
        with pytest.raises(GerritFailed, match="certificate is not valid") as raised:
            gerrit.review(1, 1, Review("x", ""))
        thread.join(30)
    assert not raised.value.sent and not raised.value.transient and received == [] and time.slept == []
