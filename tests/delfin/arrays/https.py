"""An HTTPS server with fixed answers and a certificate of its own."""

from __future__ import annotations

import datetime
import http.server
import ipaddress
import json
import ssl
import threading
from pathlib import Path
from typing import Any, Callable, Dict, List, Tuple, Union

from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

#: A status and JSON, or JSON with status 200.
Answer = Union[Tuple[int, Any], Any]
#: The body of the request to an answer.
Route = Union[Answer, Callable[[Any], Answer]]


class HttpsArray(http.server.ThreadingHTTPServer):
    """Answers by method and the beginning of the path: the longest that fits."""

    daemon_threads = True

    def __init__(self, routes: Dict[str, Route], folder: Path, headers: Dict[str, str]) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.routes = routes
        self.headers = headers
        self.requests: List[str] = []
        #: The certificate in PEM, for `tls_ca`.
        self.certificate = folder / "array.pem"
        key = folder / "array.key"
        _make_certificate(self.certificate, key)
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(self.certificate, key)
        self.socket = context.wrap_socket(self.socket, server_side=True, do_handshake_on_connect=False)
        threading.Thread(target=self.serve_forever, daemon=True).start()

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Clients that do not trust the certificate close the connection."""

    def close(self) -> None:
        self.shutdown()
        self.server_close()


class _Handler(http.server.BaseHTTPRequestHandler):
    server: HttpsArray
    protocol_version = "HTTP/1.1"

    def _answer(self) -> None:
        body = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        request = f"{self.command} {self.path}"
        self.server.requests.append(request)
        fitting = [route for route in self.server.routes if request.startswith(route)]
        answer: Any = (404, {"error": f"no answer to {request}"})
        if fitting:
            answer = self.server.routes[max(fitting, key=len)]
        if callable(answer):
            answer = answer(json.loads(body) if body else self.path)
        status, value = answer if isinstance(answer, tuple) else (200, answer)
        text = json.dumps(value).encode()
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(text)))
        for name, header in self.server.headers.items():
            self.send_header(name, header)
        self.end_headers()
        self.wfile.write(text)

    do_GET = do_POST = do_PUT = do_DELETE = _answer

    def log_message(self, format: str, *args: Any) -> None:
        pass


def _make_certificate(certificate: Path, key: Path) -> None:
    private = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, "array")])
    now = datetime.datetime.now(datetime.timezone.utc)
    builder = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(private.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - datetime.timedelta(days=1))
        .not_valid_after(now + datetime.timedelta(days=1))
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .add_extension(x509.SubjectAlternativeName([x509.IPAddress(ipaddress.ip_address("127.0.0.1"))]), critical=False)
    )
    signed = builder.sign(private, hashes.SHA256())
    certificate.write_bytes(signed.public_bytes(serialization.Encoding.PEM))
    encoding, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
    key.write_bytes(private.private_bytes(encoding, form, serialization.NoEncryption()))
