"""Settings: what is accepted, and the texts of mistakes."""

import unittest
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Dict, List, Literal, Optional

from delfin_plugin import Secret, SettingsError, setting
from delfin_plugin.settings import read


@dataclass
class Tls:
    verify: bool = True


@dataclass
class Settings:
    url: str = setting(remedy="write an address")
    password: Optional[Secret] = None
    timeout: timedelta = timedelta(seconds=10)
    port: int = setting(443, check=lambda port: 0 < port < 65536, remedy="write 1 to 65535")
    ratio: float = 1.0
    mode: Literal["fast", "safe"] = "safe"
    hosts: List[str] = setting(list)
    labels: Dict[str, str] = setting(dict)
    tls: Tls = setting(Tls)
    class_: str = "default"

    def __post_init__(self) -> None:
        if self.url == "forbidden":
            raise ValueError("`url` cannot be `forbidden` (write another one)")


class SettingsTest(unittest.TestCase):
    def mistakes(self, table: Dict[str, Any]) -> str:
        with self.assertRaises(SettingsError) as caught:
            read(Settings, table)
        return str(caught.exception)

    def test_every_type_is_read(self) -> None:
        settings = read(
            Settings,
            {
                "url": "https://acme",
                "password": "hunter2",
                "timeout": "1h30m",
                "ratio": 2,
                "mode": "fast",
                "hosts": ["a", "b"],
                "labels": {"site": "x"},
                "tls": {"verify": False},
                "class": "acme:Exporter",
            },
        )
        assert settings.password is not None
        self.assertEqual(settings.password.reveal(), "hunter2")
        self.assertNotIn("hunter2", f"{settings} {settings!r}")
        self.assertEqual(settings.timeout, timedelta(minutes=90))
        self.assertEqual((settings.ratio, settings.port), (2.0, 443))
        self.assertEqual((settings.hosts, settings.labels), (["a", "b"], {"site": "x"}))
        self.assertFalse(settings.tls.verify)
        self.assertEqual(settings.class_, "acme:Exporter")

    def test_every_mistake_is_reported_and_no_secret_is_shown(self) -> None:
        table = {"password": ["hunter2"], "port": 70000, "mode": "slow", "tls": {"verfy": True}}
        self.assertEqual(
            self.mistakes({**table, "nme": 1}),
            "`nme` is not a setting (known settings: `url`, `password`, `timeout`, `port`, `ratio`, "
            "`mode`, `hosts`, `labels`, `tls`, `class`); "
            "`url` is missing (write an address); "
            "`password` has a wrong value (write a text in quotes that is not empty); "
            "`port` cannot be `70000` (write 1 to 65535); "
            '`mode` cannot be `"slow"` (write one of `fast`, `safe`); '
            "`tls.verfy` is not a setting (known settings: `verify`)",
        )

    def test_a_wrong_value_of_each_type_is_a_mistake(self) -> None:
        wrong: Dict[str, List[Any]] = {
            "url": ["", 1, None],
            "timeout": ["10", "0s", 10, "", "1x"],
            "port": [True, 1.5, "443"],
            "ratio": [True, "1"],
            "hosts": ["a", [1]],
            "labels": [[], {"a": 1}],
            "tls": [True, []],
        }
        for key, values in wrong.items():
            for value in values:
                with self.subTest(key=key, value=value):
                    text = self.mistakes({"url": "u", key: value})
                    self.assertTrue(text.startswith(f"`{key}` cannot be "), text)

    def test_a_check_of_the_whole_is_a_mistake_like_others(self) -> None:
        text = self.mistakes({"url": "forbidden"})
        self.assertEqual(text, "`url` cannot be `forbidden` (write another one)")


if __name__ == "__main__":
    unittest.main()
