import unittest
from decimal import Decimal

from adapter import resources


class TestResources(unittest.TestCase):
    def test_members_are_in_their_groups(self) -> None:
        found = {
            "port_groups": [{"native_port_group_id": 1, "name": "a"}, {"native_port_group_id": "2"}],
            "port_grp_port_rels": [
                {"native_port_group_id": "1", "native_port_id": "p1"},
                {"native_port_group_id": 1, "native_port_id": 7},
                {"native_port_group_id": "3", "native_port_id": "p3"},
            ],
        }
        groups = resources.build("port_groups", found)
        self.assertEqual([group["ports"] for group in groups], [["p1", "7"], []])
        self.assertEqual(groups[0]["name"], "a")

    def test_a_driver_can_list_nothing(self) -> None:
        nothing: list[object] = [None, [], {}, {"volume_groups": None}]
        for found in nothing:
            self.assertEqual(resources.build("volume_groups", found), [])

    def test_values_are_json(self) -> None:
        found = [{"capacity": Decimal("1.5"), "speed": float("nan"), "when": object, "ok": True, "tags": (1, None)}]
        (disk,) = resources.build("disks", found)
        self.assertEqual((disk["capacity"], disk["speed"], disk["ok"], disk["tags"]), (1.5, None, True, [1, None]))
        self.assertIsInstance(disk["when"], str)
