"""Lists of resources: JSON values, and the members of groups in the groups themselves."""

from __future__ import annotations

from typing import Any, Dict, Iterable, List

#: For each list of groups: the list of its members, the keys of group and member in it, and the field of the members.
_GROUPS = {
    "storage_host_groups": (
        "storage_host_grp_host_rels",
        "native_storage_host_group_id",
        "native_storage_host_id",
        "storage_hosts",
    ),
    "port_groups": ("port_grp_port_rels", "native_port_group_id", "native_port_id", "ports"),
    "volume_groups": ("vol_grp_vol_rels", "native_volume_group_id", "native_volume_id", "volumes"),
}


def build(kind: str, found: Any) -> List[Dict[str, Any]]:
    """The resources of a kind, from what a driver lists: objects, or for groups also a table of members."""
    if kind in _GROUPS and isinstance(found, dict):
        members, group_key, member_key, field = _GROUPS[kind]
        by_group: Dict[str, List[str]] = {}
        for row in found.get(members) or []:
            by_group.setdefault(str(row.get(group_key)), []).append(str(row.get(member_key)))
        groups = _objects(found.get(kind) or [])
        return [{**group, field: by_group.get(str(group.get(group_key)), [])} for group in groups]
    return _objects(found or [])


def _objects(found: Iterable[Any]) -> List[Dict[str, Any]]:
    return [{str(name): _json(value) for name, value in resource.items()} for resource in found]


def _json(value: Any) -> Any:
    if isinstance(value, float):
        # JSON has no NaN.
        return value if value - value == 0 else None
    if value is None or isinstance(value, (str, int)):
        return value
    if isinstance(value, (list, tuple)):
        return [_json(one) for one in value]
    if isinstance(value, dict):
        return {str(name): _json(one) for name, one in value.items()}
    try:
        return _json(float(value))
    except (TypeError, ValueError):
        return str(value)
