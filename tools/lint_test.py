#!/usr/bin/env python3
"""Each rule of lint.py finds what it is for, and leaves its neighbours alone."""
import pathlib
import tempfile
import unittest

import lint


class Rules(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.addCleanup(setattr, lint, "ROOT", lint.ROOT)
        lint.ROOT = pathlib.Path(folder.name)

    def rules(self, path, text):
        """The names of the rules that the text breaks as a file of that path."""
        place = lint.ROOT / path
        place.parent.mkdir(parents=True, exist_ok=True)
        place.write_text(text)
        file = lint.File(path)
        return {finding.rule for check in lint.CHECKS for finding in check(file)}

    def cpp(self, code, path="server/history/shard.cc"):
        return self.rules(path, code)

    def test_format(self):
        (lint.ROOT / ".clang-format").write_text("BasedOnStyle: Google\n")
        for name, code in (("good.cc", "int f() { return 1; }\n"), ("bad.cc", "int a;\nint  f(){return 1;}\n")):
            (lint.ROOT / name).write_text(code)
        found = list(lint.unformatted(["good.cc", "bad.cc", "notes.md"]))
        self.assertEqual([(finding.path, finding.line) for finding in found], [("bad.cc", 2)])

    def test_determinism(self):
        for code, rule in (("std::thread t;", "thread"), ("std::jthread t;", "thread"), ("std::mutex m;", "mutex"),
                           ("std::scoped_lock l(m);", "mutex"), ("std::condition_variable c;", "mutex"),
                           ("auto t = std::chrono::steady_clock::now();", "clock"), ("clock_gettime(0, &t);", "clock"),
                           ("std::random_device d;", "random"), ("int i = rand();", "random"),
                           ("absl::flat_hash_map<int, int> m;", "hash"), ("std::map<Run*, int> m;", "pointer_order"),
                           ("std::set<const core::Run*> m;", "pointer_order"),
                           ("std::unordered_map<Run *, int> m;", "pointer_order"),
                           ("std::this_thread::sleep_for(1s);", "sleep")):
            with self.subTest(code=code):
                self.assertEqual(self.cpp(code), {rule})
                self.assertEqual(self.rules("base/clock.cc", code), set())
                self.assertEqual(self.cpp("// " + code), set())
                self.assertEqual(self.cpp(f'auto s = "{code}";'), set())

    def test_determinism_leaves_alone(self):
        for code in ("std::map<std::string, Run*> m;", "std::unordered_map<RunId, std::unique_ptr<Run>> m;",
                     "auto t = env.now;", "brand(1);", "std::set<int> s = f(a * b);"):
            with self.subTest(code=code):
                self.assertEqual(self.cpp(code), set())

    def test_core_is_pure(self):
        for include in ("<thread>", "<fstream>", "<random>", "<sqlite3.h>", "<grpcpp/grpcpp.h>", '"base/disk.h"'):
            with self.subTest(include=include):
                self.assertIn("core_include", self.cpp(f"#include {include}\n", "server/core/x.cc"))
        self.assertEqual(self.cpp('#include <map>\n#include "base/time.h"\n', "server/core/x.cc"), set())

    def test_arrows(self):
        for path, seen in (("base/a.cc", "server/core/b.h"), ("server/core/a.cc", "server/store/b.h"),
                           ("server/store/a.cc", "server/history/b.h"), ("server/matching/a.cc", "server/history/b.h"),
                           ("server/history/a.cc", "server/frontend/b.h"), ("server/core/a.cc", "tests/b.h"),
                           ("sdk/a.cc", "server/core/b.h"), ("server/main/a.cc", "sdk/b.h")):
            with self.subTest(path=path, seen=seen):
                self.assertIn("arrow", self.cpp(f'#include "{seen}"\n', path))
        for path, seen in (("server/store/local/a.cc", "server/core/b.h"), ("server/frontend/a.cc", "server/history/b.h"),
                           ("server/history/a.cc", "server/matching/b.h"), ("server/main/a.cc", "base/b.h"),
                           ("sdk/src/embedded/a.cc", "server/main/b.h"), ("tests/a.cc", "server/core/b.h"),
                           ("server/core/a.cc", "temporal/api/history/v1/message.pb.h")):
            with self.subTest(path=path, seen=seen):
                self.assertEqual(self.cpp(f'#include "{seen}"\n', path), set())

    def test_headers(self):
        self.assertEqual(self.rules("base/a.h", "// What.\n#pragma once\n"), set())
        self.assertEqual(self.rules("base/a.h", "#pragma once\n"), {"header_comment"})
        self.assertEqual(self.rules("base/a.h", "// What.\n#include <map>\n#pragma once\n"), {"pragma_once"})

    def test_names(self):
        self.assertEqual(self.rules("base/RunId.cc", ""), {"file_name"})
        self.assertEqual(self.rules("base/time_utils.cc", ""), {"vague_name"})
        self.assertEqual(self.rules("base/a.cc", "class QueueManager {};\n"), {"vague_name"})
        self.assertEqual(self.rules("base/a.cc", "class Queue {};  // not a QueueManager\n"), set())

    def test_words(self):
        self.assertEqual(self.rules("a.md", "see proxy.golang" + ".org/x\n"), {"host"})
        self.assertEqual(self.rules("go.mod", "google.golang.org/grpc v1\ngolang.org/x/net v1\n"), set())
        self.assertEqual(self.rules("a.md", "TO" + "DO later\n"), {"unfinished"})

    def test_links(self):
        self.assertEqual(self.rules("docs/a.md", "[b](b.md)"), {"link"})
        self.assertEqual(self.rules("docs/a.md", "[a](a.md#part), [w](https://example.com/x), [p](#part)"), set())

    def test_lengths(self):
        self.assertEqual(self.cpp("int a;" + " " * 130 + "\n"), {"line_length"})
        self.assertEqual(self.cpp("int a;\n" * 801), {"file_length"})

    def test_function_lengths(self):
        body = "  f();\n" * 69
        for head in ("void g()", "TEST(A, B)", "Run::Run(int a)\n    : a_{a}", "auto g() -> std::vector<int>",
                     "namespace x {\nclass Y {\n  int g(int a = 1) const noexcept"):
            with self.subTest(head=head):
                self.assertEqual(self.cpp(f"{head} {{\n{body}}}\n"), {"function_length"})
                self.assertEqual(self.cpp(f"{head} {{\n  f();\n}}\n" + "void h() {\n  f();\n}\n" * 60), set())
        for head in ("namespace", "const std::vector<Row> kRows =", "class X", "enum class E"):
            with self.subTest(head=head):
                self.assertEqual(self.cpp(f"{head} {{\n{body}}};\n"), set())

    def test_sleeping_tests(self):
        self.assertEqual(self.rules("tests/a.py", "time.sleep(1)\n"), {"sleep"})
        self.assertEqual(self.rules("tools/a.py", "time.sleep(1)\n"), set())
        self.assertEqual(self.rules("tests/a.go", "time.Sleep(1)\n"), {"sleep"})

    def test_python_functions(self):
        self.assertEqual(self.rules("tools/a.py", "def f():\n" + "    g()\n" * 70), {"function_length"})


if __name__ == "__main__":
    unittest.main()
