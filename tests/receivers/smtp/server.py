"""A mail server for the tests, with aiosmtpd: writes each mail to a file of its own.

    server.py PORT FOLDER [--tls starttls|tls --certificate FILE --key FILE] [--login USER:PASSWORD]

The recipient `refused@example.com` is refused, and a mail that has the word `unacceptable` too.
"""

import argparse
import asyncio
import os
import ssl

from aiosmtpd.smtp import SMTP, AuthResult

COUNT = iter(range(1_000_000_000))


class Folder:
    """Accepts mails."""

    def __init__(self, folder):
        self.folder = folder
        self.run = os.getpid()

    async def handle_RCPT(self, server, session, envelope, address, options):
        if address == "refused@example.com":
            return "550 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server, session, envelope):
        if b"unacceptable" in envelope.content:
            return "554 the content is refused"
        name = os.path.join(self.folder, f"{self.run}-{next(COUNT):09}")
        with open(name + ".new", "wb") as file:
            file.write(envelope.content)
        os.rename(name + ".new", name + ".eml")
        return "250 OK"


def authenticator(login):
    def check(server, session, envelope, mechanism, data):
        given = f"{data.login.decode()}:{data.password.decode()}"
        return AuthResult(success=given == login, handled=False)

    return check


async def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("folder")
    parser.add_argument("--tls", choices=["starttls", "tls"])
    parser.add_argument("--certificate")
    parser.add_argument("--key")
    parser.add_argument("--login")
    options = parser.parse_args()
    context = None
    if options.tls:
        context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        context.load_cert_chain(options.certificate, options.key)
    start_tls = context if options.tls == "starttls" else None

    def session():
        return SMTP(
            Folder(options.folder),
            tls_context=start_tls,
            require_starttls=start_tls is not None,
            authenticator=authenticator(options.login) if options.login else None,
            auth_required=options.login is not None,
            auth_require_tls=False,
        )

    server = await asyncio.get_running_loop().create_server(
        session, "127.0.0.1", options.port, ssl=context if options.tls == "tls" else None
    )
    await server.serve_forever()


asyncio.run(main())
