"""SSH host keys of arrays that listen at another port than 22, for which Delfin's clients look under another name."""

from __future__ import annotations

import sys
from typing import Any


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
