from __future__ import annotations

import unittest
from typing import Any, Dict, Optional

from adapter import alerts, times
from delfin_plugin import Window

NOW = 1_800_000_000_000
GOOD = {
    "alert_id": "A1",
    "alert_name": "a fan failed",
    "severity": "Major",
    "category": "Fault",
    "type": "EquipmentAlarm",
    "sequence_number": "7",
    "occur_time": 1_700_000_000_000,
}


def mended(**changes: Any) -> Dict[str, str]:
    return alerts.mend({**GOOD, **changes}, NOW)[1]


class Alerts(unittest.TestCase):
    def test_a_good_alert_stays_as_it_is(self) -> None:
        occur_time, fields = alerts.mend({**GOOD, "match_key": "k", "rack": "r1"}, NOW)
        self.assertEqual(occur_time, GOOD["occur_time"])
        expected = {name: value for name, value in GOOD.items() if name != "occur_time"}
        self.assertEqual(fields, {**expected, "match_key": "k", "rack": "r1"})

    def test_the_columns_of_the_storage_are_the_hosts(self) -> None:
        self.assertEqual(mended(storage_id="x", serial_number="y", vendor="z"), mended())

    def test_an_alert_without_a_sequence_number_has_the_same_one_each_time(self) -> None:
        self.assertEqual(mended(sequence_number=None, alert_id=41)["sequence_number"], "41")
        self.assertEqual(mended(sequence_number="", alert_id=None, match_key="k")["sequence_number"], "k")
        self.assertEqual(mended(sequence_number=None, alert_id=None)["sequence_number"], "a fan failed")

    def test_an_alert_without_id_and_name_is_named_after_its_description(self) -> None:
        fields = mended(alert_id=None, alert_name=None, description="disk 3 failed")
        self.assertEqual(fields["alert_name"], "disk 3 failed")
        self.assertEqual(mended(alert_id=None, alert_name="")["alert_name"], "unnamed")

    def test_words_outside_the_model_are_replaced_and_stay_visible(self) -> None:
        for given, severity in {"ERROR": "Major", "critical": "Critical", "info": "Informational", "odd": "NotSpecified"}.items():
            fields = mended(severity=given)
            self.assertEqual(fields["severity"], severity)
            self.assertEqual(fields.get("device_severity"), given if given != "critical" else None)
        fields = mended(type="TRIAL_LICENSE_USED", category="weird")
        self.assertEqual((fields["type"], fields["device_type"]), ("NotSpecified", "TRIAL_LICENSE_USED"))
        self.assertEqual((fields["category"], fields["device_category"]), ("Fault", "weird"))

    def test_words_that_are_missing_are_filled(self) -> None:
        fields = mended(severity=None, category=None, type="")
        self.assertEqual((fields["severity"], fields["category"], fields["type"]), ("NotSpecified", "Fault", "NotSpecified"))
        self.assertNotIn("device_severity", fields)

    def test_a_value_that_a_driver_formatted_from_nothing_is_absent(self) -> None:
        self.assertEqual(mended(location=None, recovery_advice="None", description=" "), mended())

    def test_times_in_seconds_and_texts_are_read(self) -> None:
        for given in (1_700_000_000, "1700000000", 1_700_000_000_000, "1700000000000", 1.7e9):
            self.assertEqual(alerts.mend({**GOOD, "occur_time": given}, NOW)[0], 1_700_000_000_000)

    def test_an_impossible_time_is_now_and_stays_visible(self) -> None:
        cases: Dict[Any, Optional[str]] = {"": None, None: None, "n/a": "n/a", 13_200_000_000: "13200000000", 9e15: "9000000000000000.0"}
        for given, shown in cases.items():
            occur_time, fields = alerts.mend({**GOOD, "occur_time": given}, NOW)
            self.assertEqual((occur_time, fields.get("device_time")), (NOW, shown))

    def test_a_window_selects_by_the_time_of_the_alert(self) -> None:
        at = 1_700_000_000_000
        for window, count in ((Window(at, at + 1), 1), (Window(at - 1, at), 0), (None, 1)):
            self.assertEqual(len(alerts.build([GOOD], NOW, window)), count)

    def test_seconds_and_milliseconds_cannot_be_confused(self) -> None:
        self.assertEqual(times.read(4_294_967_296), 4_294_967_296)
        self.assertEqual(times.read(99_999_999), 99_999_999)


if __name__ == "__main__":
    unittest.main()
