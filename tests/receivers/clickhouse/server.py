"""The HTTP interface of ClickHouse in front of chdb, which is its engine as a library.

`server.py LIBRARIES FOLDER PORT` answers as the documentation says: the query is in the URL or the body, settings
are in the URL, and an exception has its code in a header.
"""

import re
import sys
import threading
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from urllib.parse import parse_qs, urlsplit

sys.path.append(sys.argv[1])
from chdb import session  # noqa: E402

# Settings of the interface, which the engine does not know.
INTERFACE = {"query", "wait_end_of_query"}


class Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"

    def do_POST(self):
        body = self.rfile.read(int(self.headers["content-length"]))
        parameters = {key: values[0] for key, values in parse_qs(urlsplit(self.path).query).items()}
        query = parameters.get("query")
        with lock:
            self.answer(query, body, parameters)

    def answer(self, query, body, parameters):
        try:
            if query is None:
                answer = run(body.decode())
                # The default format has only the values.
                answer = "1\n" if body == b"SELECT 1" else answer
            else:
                answer = insert(query, body, self.headers.get("content-encoding", "none"), parameters)
            self.respond(200, answer, {})
        except Exception as error:
            code = re.search(r"Code: (\d+)", str(error))
            headers = {"X-ClickHouse-Exception-Code": code[1] if code else "1002"}
            self.respond(500, str(error), headers)

    def respond(self, status, text, headers):
        content = text.encode()
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        self.wfile.write(content)

    def log_message(self, *_):
        pass


def run(statement):
    return str(database.query(statement, "JSONEachRow"))


def insert(query, body, encoding, parameters):
    """The engine reads what follows the statement from a file, and decompresses it."""
    table, columns = re.fullmatch(r"INSERT INTO (\S+) \((.*)\) FORMAT ArrowStream", query).groups()
    stream = folder / "body.arrow"
    stream.write_bytes(body)
    settings = [f"{key} = '{value}'" for key, value in parameters.items() if key not in INTERFACE]
    return run(
        f"INSERT INTO {table} ({columns}) SETTINGS {', '.join(settings)} "
        f"SELECT {columns} FROM file('{stream}', ArrowStream, 'auto', '{encoding}')"
    )


folder = Path(sys.argv[2])
database = session.Session(str(folder / "data"))
lock = threading.Lock()
ThreadingHTTPServer(("127.0.0.1", int(sys.argv[3])), Handler).serve_forever()
