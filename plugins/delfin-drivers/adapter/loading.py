"""Finds and loads a driver class of Delfin, without Delfin's services.

Drivers import few modules of Delfin. Of these, only the database does not work here: a module without tables is in its
place. Passwords are passed as they are: a class that changes nothing is in place of Delfin's encoding.
"""

from __future__ import annotations

import importlib
import importlib.metadata
import os
import sys
import time
import types
import warnings
from typing import Any, Dict, Tuple

from delfin_plugin import Misconfigured

from . import imports

GROUP = "delfin.storage.drivers"

#: The drivers of Delfin 1.9, for a source tree, which has no entry points.
CLASSES: Dict[Tuple[str, str], str] = {
    ("dellemc", "unity"): "delfin.drivers.dell_emc.unity.unity:UnityStorDriver",
    ("dellemc", "vmax"): "delfin.drivers.dell_emc.vmax.vmax:VMAXStorageDriver",
    ("dellemc", "pmax"): "delfin.drivers.dell_emc.vmax.vmax:VMAXStorageDriver",
    ("dellemc", "powerstore"): "delfin.drivers.dell_emc.power_store.power_store:PowerStoreDriver",
    ("dellemc", "scaleio"): "delfin.drivers.dell_emc.scaleio.scaleio_stor:ScaleioStorageDriver",
    ("dellemc", "vnx_block"): "delfin.drivers.dell_emc.vnx.vnx_block.vnx_block:VnxBlockStorDriver",
    ("dellemc", "vplex"): "delfin.drivers.dell_emc.vplex.vplex_stor:VplexStorageDriver",
    ("fujitsu", "eternus"): "delfin.drivers.fujitsu.eternus.eternus_stor:EternusDriver",
    ("h3c", "unistor_cf"): "delfin.drivers.h3c.unistor_cf.unistor_cf:H3cUniStorCfDriver",
    ("hitachi", "hnas"): "delfin.drivers.hitachi.hnas.hds_nas:HitachiHNasDriver",
    ("hitachi", "vsp"): "delfin.drivers.hitachi.vsp.vsp_stor:HitachiVspDriver",
    ("hpe", "3par"): "delfin.drivers.hpe.hpe_3par.hpe_3parstor:Hpe3parStorDriver",
    ("hpe", "primera"): "delfin.drivers.hpe.hpe_3par.hpe_3parstor:Hpe3parStorDriver",
    ("hpe", "msa"): "delfin.drivers.hpe.hpe_msa.hpe_msastor:HpeMsaStorDriver",
    ("huawei", "oceanstor"): "delfin.drivers.huawei.oceanstor.oceanstor:OceanStorDriver",
    ("ibm", "ds8k"): "delfin.drivers.ibm.ds8k.ds8k:DS8KDriver",
    ("ibm", "storwize_svc"): "delfin.drivers.ibm.storwize_svc.storwize_svc:StorwizeSVCDriver",
    ("inspur", "as5500"): "delfin.drivers.inspur.as5500.as5500:As5500Driver",
    ("macrosan", "macrosan"): "delfin.drivers.macro_san.ms.ms_stor:MacroSanDriver",
    ("netapp", "cmode"): "delfin.drivers.netapp.dataontap.cluster_mode:NetAppCmodeDriver",
    ("pure", "flasharray"): "delfin.drivers.pure.flasharray.pure_flasharray:PureFlashArrayDriver",
    ("fake_storage", "fake_driver"): "delfin.drivers.fake_storage:FakeStorageDriver",
}


class PlainCryptor:
    """In place of Delfin's cryptor, which passwords in its database need."""

    @staticmethod
    def encode(text: str) -> str:
        return text

    @staticmethod
    def decode(text: str) -> str:
        return text


def models() -> Dict[Tuple[str, str], str]:
    """The class of each vendor and model, as `MODULE:CLASS`: the known ones, and installed ones."""
    found = dict(CLASSES)
    for distribution in importlib.metadata.distributions():
        for point in distribution.entry_points:
            vendor, _, model = point.name.partition(" ")
            if point.group == GROUP and model:
                found[vendor, model] = point.value
    return found


def prepare() -> None:
    """Makes Delfin's modules importable. Some drivers compute times from the time zone of the process."""
    os.environ["TZ"] = "UTC"
    time.tzset()
    # About the code of Delfin and of libraries, which no operator changes.
    warnings.simplefilter("ignore")
    try:
        import delfin
        from oslo_config import cfg
    except ImportError as error:
        remedy = "link the environment of Delfin as `venv` into the folder of the plugin, or install Delfin for python3"
        raise Misconfigured(f"Delfin is not available: {error} ({remedy})") from error
    imports.leave_out()
    database = types.ModuleType("delfin.db")
    database.storage_get = _no_storage  # type: ignore[attr-defined]
    sys.modules["delfin.db"] = delfin.db = database
    imports.import_without_openssl()
    path = f"{PlainCryptor.__module__}.{PlainCryptor.__name__}"
    cfg.CONF.register_opt(cfg.StrOpt("delfin_cryptor", default=path))


def load(vendor: str, model: str) -> Any:
    """The class for a vendor and a model. Call `prepare` first."""
    path = models()[vendor, model]
    module, _, name = path.partition(":")
    try:
        return getattr(importlib.import_module(module), name)
    except (ImportError, AttributeError) as error:
        raise Misconfigured(
            f"Delfin has no driver `{path}`: {error} (it may be in a newer version, or need another package)"
        ) from error


def _no_storage(context: Any, storage_id: str) -> Any:
    from delfin import exception

    raise exception.StorageNotFound(storage_id)
