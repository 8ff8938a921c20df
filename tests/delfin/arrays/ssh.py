"""An SSH server with fixed outputs of commands, and files for scp."""

from __future__ import annotations

import socket
import threading
from typing import Any, Callable, Dict, List, Union

import paramiko

#: A text, or what makes it from the command.
Text = Union[str, Callable[[str], str]]

#: Logs in with this name and password.
LOGIN = ("monitor", "s3cret")


class SshArray:
    """Answers commands by their beginning: the longest that fits."""

    def __init__(self, outputs: Dict[str, Text], files: Dict[str, str]) -> None:
        self.outputs = outputs
        self.files = files
        self.commands: List[str] = []
        self.key = paramiko.ECDSAKey.generate()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port: int = self._listener.getsockname()[1]
        threading.Thread(target=self._serve, daemon=True).start()

    def _serve(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            transport = paramiko.Transport(connection)
            transport.add_server_key(self.key)
            try:
                transport.start_server(server=_Session(self))
            except (paramiko.SSHException, EOFError, OSError):
                # A client that does not know the key closes the connection.
                transport.close()

    def run(self, channel: Any, command: str) -> None:
        """Writes the output of a command."""
        self.commands.append(command)
        if command.startswith("scp "):
            self._send_file(channel, command.split()[-1].strip("'"))
        else:
            fitting = [one for one in self.outputs if command.startswith(one)]
            text = self.outputs[max(fitting, key=len)] if fitting else f"{command} is not a recognized command"
            channel.sendall((text if isinstance(text, str) else text(command)).encode())
        channel.send_exit_status(0)
        # The client closes the channel: a close could overtake the answer to its request.
        channel.shutdown_write()

    def _send_file(self, channel: Any, path: str) -> None:
        content = self.files[path].encode()
        channel.recv(1)
        channel.sendall(f"C0644 {len(content)} {path.rsplit('/', 1)[-1]}\n".encode())
        channel.recv(1)
        channel.sendall(content + b"\0")
        channel.recv(1)

    def close(self) -> None:
        self._listener.close()


class _Session(paramiko.ServerInterface):  # type: ignore[misc]
    def __init__(self, array: SshArray) -> None:
        self._array = array

    def check_auth_password(self, username: str, password: str) -> int:
        return int(paramiko.AUTH_SUCCESSFUL if (username, password) == LOGIN else paramiko.AUTH_FAILED)

    def check_channel_request(self, kind: str, chanid: int) -> int:
        return int(paramiko.OPEN_SUCCEEDED)

    def check_channel_exec_request(self, channel: Any, command: bytes) -> bool:
        threading.Thread(target=self._array.run, args=(channel, command.decode()), daemon=True).start()
        return True
