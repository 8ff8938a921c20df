"""The options in Delfin's configuration file, group `[DELFIN_HOST_EXPORTER]`."""

from __future__ import annotations

from typing import Any

from oslo_config import cfg

GROUP = "DELFIN_HOST_EXPORTER"

OPTIONS = [
    cfg.URIOpt(
        "url",
        default="http://127.0.0.1:8190",
        schemes=["http", "https"],
        help="The API of delfin-host",
    ),
    cfg.StrOpt(
        "token_file",
        default="",
        help="A file with the token that delfin-host needs, with the scope `ingest`; read again for each request",
    ),
    cfg.StrOpt(
        "spool_dir",
        default="/var/lib/delfin/delfin-host-spool",
        help="The folder for batches that delfin-host has not stored yet",
    ),
    cfg.IntOpt(
        "spool_max_bytes",
        default=1 << 30,
        min=1 << 16,
        help="The bytes of the spool, for performance and for alerts each",
    ),
    cfg.StrOpt(
        "spool_full",
        default="drop_oldest",
        choices=["drop_oldest", "refuse"],
        help="Which batches are lost when the spool is full: the oldest, or the new one",
    ),
    cfg.IntOpt("timeout", default=60, min=1, help="Seconds to wait for an answer of delfin-host"),
    cfg.IntOpt("retry_max_delay", default=30, min=1, help="The longest wait between attempts, in seconds"),
    cfg.BoolOpt(
        "complete_syncs",
        default=True,
        help="Whether an alert sync without a time range ends the alerts of the storage that it does not list",
    ),
]

cfg.CONF.register_opts(OPTIONS, group=GROUP)


def options() -> Any:
    """The options of this process."""
    return cfg.CONF[GROUP]
