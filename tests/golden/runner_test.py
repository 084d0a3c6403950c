#!/usr/bin/env python3
"""Tests of golden.py's comparison, without a server: the normaliser's shared cases, and recordings that were tampered with."""
import copy
import json
import pathlib
import unittest

from offline import golden
import tamper

HERE = pathlib.Path(__file__).resolve().parent


class NormaliserTest(unittest.TestCase):
    def test_the_shared_cases(self):
        for case in json.loads((HERE / "testdata/normaliser.json").read_text()):
            rules = golden.Normaliser(case["uid"], case.get("ignore", []))
            with self.subTest(case["about"]):
                self.assertEqual([rules.outcome(o) for o in case["raw"]], case["normalised"])


class TamperedRecordingsTest(unittest.TestCase):
    def test_each_change_is_seen(self):
        changed = list(tamper.changes(golden.scenario_names()))
        self.assertEqual(len(changed), 52)
        for name, how, altered in changed:
            recorded = tamper.recording(name)
            with self.subTest(name + ": " + how):
                self.assertFalse(golden.differences(recorded, copy.deepcopy(recorded), False))
                self.assertTrue(golden.differences(altered, recorded, False))
                self.assertTrue(golden.differences(recorded, altered, False))


if __name__ == "__main__":
    unittest.main()
