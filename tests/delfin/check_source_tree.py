"""Checks that drivers of Delfin 1.9 measure, which those of the package index do not.

    PYTHONPATH=plugin-api/python/src:tests/delfin target/delfin/bin/python tests/delfin/check_source_tree.py FOLDER

FOLDER is a source tree of Delfin 1.9. It is not in the package index, so no test runs this.
"""

from __future__ import annotations

import dataclasses
import sys
import unittest
from pathlib import Path

from arrays import models
from test_drivers import Arrays


class SourceTree(Arrays):
    folder_of_delfin: Path

    def test_arrays_are_identified_measured_and_asked_for_alerts(self) -> None:
        (self.plugin / "delfin").symlink_to(self.folder_of_delfin / "delfin")
        for make in models.ARRAYS:
            array = make()
            if array.newer_series is not None:
                with self.subTest(make.__name__):
                    self.check(dataclasses.replace(array, series=array.newer_series), self.start(array))


if __name__ == "__main__":
    SourceTree.folder_of_delfin = Path(sys.argv.pop()).absolute()
    unittest.main()
