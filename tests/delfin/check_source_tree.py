"""Checks drivers of Delfin 1.9: those that measure, where the ones of the package index do not, and that all of them load.

    PYTHONPATH=plugin-api/python/src:tests/delfin target/delfin/bin/python tests/delfin/check_source_tree.py FOLDER

FOLDER is a source tree of Delfin 1.9. It is not in the package index, so no test runs this.
"""

from __future__ import annotations

import dataclasses
import sys
import unittest
from pathlib import Path

from arrays import models
from arrays.powerstore import powerstore
from host import ROOT
from test_drivers import Arrays, run_python


class SourceTree(Arrays):
    folder_of_delfin: Path

    @classmethod
    def setUpClass(cls) -> None:
        super().setUpClass()
        (cls.plugin / "delfin").symlink_to(cls.folder_of_delfin / "delfin")

    def test_arrays_are_identified_measured_and_asked_for_alerts(self) -> None:
        for make in (*models.ARRAYS, powerstore):
            array = make()
            if array.newer_series is not None:
                with self.subTest(make.__name__):
                    self.check(dataclasses.replace(array, series=array.newer_series), self.start(array))

    def test_every_driver_loads_and_tells_what_it_measures(self) -> None:
        lines = run_python(ROOT / "tests" / "delfin" / "list_drivers.py", self.plugin, "all")
        print("\n".join(lines))
        self.assertEqual(len(lines), 22)


if __name__ == "__main__":
    SourceTree.folder_of_delfin = Path(sys.argv.pop()).absolute()
    unittest.main()
