"""SSH host keys: whether they can be read, and arrays that listen at another port than 22, for which Delfin's clients look
under another name."""

from __future__ import annotations

import base64
import sys
from typing import Any, Dict

from delfin_plugin import Misconfigured


def check(access: Dict[str, Any]) -> None:
    """Refuses a host key that cannot be read, which to paramiko is an array that does not answer. Fills in a missing type."""
    kind = access.get("pub_key_type")
    try:
        # The type is the first text in the key: its length, and its bytes.
        content = base64.b64decode(str(access["pub_key"]), validate=True)
        found = content[4 : 4 + int.from_bytes(content[:4], "big")].decode("ascii")
    except ValueError:
        found = ""
    if not found or found != (kind or found):
        of_type = f" of the type `{kind}`" if kind else ""
        raise Misconfigured(f"`pub_key` is not a host key{of_type} (write it as `ssh-keyscan` prints it, without the address)")
    access["pub_key_type"] = found


def mend() -> None:
    """Makes Delfin's SSH clients know a key under both names, if the driver has imported them."""
    ssh_client = sys.modules.get("delfin.drivers.utils.ssh_client")
    if ssh_client is None:
        return
    for client in (ssh_client.SSHClient, ssh_client.SSHPool):
        _wrap(client)


def _wrap(client: Any) -> None:
    original = client.set_host_key

    def set_host_key(self: Any, host_key: str, *ssh: Any) -> Any:
        host, _, key = host_key.partition(" ")
        return original(self, f"{host},[{host}]:{self.ssh_port} {key}", *ssh)

    client.set_host_key = set_host_key
