import pathlib
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parent))
import report

FIGURES = {
    "per_s": 1000.0,
    "cpu_us": 50.0,
    "p50_ms": 2.0,
    "p99_ms": 8.0,
    "fsyncs": 0.05,
    "log_bytes": 700.0,
    "rss_mib": 40.0,
    "server_cpu_percent": 99.0,
    "driver_cpu_percent": 20.0,
}


class Medians(unittest.TestCase):
    def test_numbers(self):
        runs = [{"per_s": value, "fsyncs": None, "name": "x"} for value in (5, 1, 9, 2, 8)]
        self.assertEqual(report.median_of(runs), {"per_s": 5, "fsyncs": None, "name": None})

    def test_a_missing_run_does_not_count(self):
        self.assertEqual(report.median_of([{"a": 1}, {"a": None}, {"a": 3}, {}]), {"a": 2})

    def test_nested(self):
        self.assertEqual(report.median_of([{"t": {"x": 1, "y": 4}}, {"t": {"x": 3}}]), {"t": {"x": 2, "y": 4}})


class Table(unittest.TestCase):
    def test_lines_up_and_shows_a_missing_figure(self):
        lines = report.table({"start": FIGURES, "noop": {"per_s": 20000.0}})
        self.assertEqual(len(lines), 3)
        self.assertTrue(lines[1].startswith("no-op RPC"))
        self.assertIn("20,000", lines[1])
        self.assertIn("-", lines[1].split("20,000")[1])
        end = lines[0].index("per s") + len("per s")
        self.assertTrue(lines[1][:end].endswith("20,000"))
        self.assertTrue(lines[2][:end].endswith("1,000"))

    def test_ratios(self):
        theirs = {"start": {**FIGURES, "per_s": 100.0, "cpu_us": 500.0, "p99_ms": None}}
        line = report.ratios({"start": FIGURES}, theirs)[1]
        self.assertEqual(line.split()[1:], ["10.0×", "10.0×", "1.0×", "-", "1.0×"])

    def test_notes_tell_what_went_wrong(self):
        text = "\n".join(
            report.notes(
                {
                    "noop": FIGURES,
                    "start": {**FIGURES, "per_s": 400.0},
                    "one_activity": {
                        **FIGURES,
                        "unfinished": 3,
                        "worker_errors": 2,
                        "driver_cpu_percent": 99.0,
                    },
                }
            )
        )
        for expected in (
            "40 % of the no-op rate",
            "3 workflows had not ended",
            "2 calls of the worker failed",
            "driver was the limit",
        ):
            self.assertIn(expected, text)


class Flat(unittest.TestCase):
    def test_names(self):
        medians = {name: FIGURES for name, _, _ in report.WORKLOADS}
        start = {"idle_rss_mib": 30.0, "first_answer_ms": 12.0}
        out = report.flat(medians, start)
        for key in (
            "noop_per_s",
            "start_per_s",
            "start_p50_ms",
            "start_p99_ms",
            "signal_per_s",
            "start_complete_cpu_us",
            "one_activity_per_s",
            "one_activity_cpu_us",
            "one_activity_p50_ms",
            "three_activities_p50_ms",
            "fsyncs_per_one_activity",
            "log_bytes_per_one_activity",
            "idle_rss_mib",
            "parked_polls_10000_rss_mib",
            "first_answer_ms",
        ):
            self.assertIn(key, out)
            self.assertIsInstance(out[key], float)
        self.assertEqual(set(report.flat(medians, start, "temporal_")), {"temporal_" + key for key in out})


if __name__ == "__main__":
    unittest.main()
