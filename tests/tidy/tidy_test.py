#!/usr/bin/env python3
"""tidy.py finds each kind of breach, and leaves alone what is allowed."""

import unittest

from tidy import check_text, check_twins

TASK = "TO" + "DO"


def breaches(path, text):
    return [message for _, message in check_text(path, text)]


class Includes(unittest.TestCase):
    def test_downwards_is_allowed(self):
        self.assertEqual(breaches("daemon/core/a.h", '#include <vector>\n#include "base/ids.h"\n#include "core/io.h"\n'), [])
        self.assertEqual(breaches("daemon/shell/a.cc", '#include <sys/socket.h>\n#include "nbd/reply.h"\n'), [])
        self.assertEqual(breaches("daemon/main.cc", '#include "control/server.h"\n'), [])

    def test_upwards_is_a_breach(self):
        for path, header in [
            ("daemon/base/a.h", "core/io.h"),
            ("daemon/core/a.cc", "wire/frame.h"),
            ("daemon/core/a.cc", "daemon/shell/event_loop.h"),
            ("daemon/meta/a.cc", "wire/frame.h"),
            ("daemon/shell/a.cc", "control/status.h"),
            ("nbd/a.cc", "core/io.h"),
            ("daemon/shell/loop/a.cc", "core/io.h"),
            ("daemon/shell/loop/a.cc", "shell/link/listener.h"),
            ("daemon/control/config/a.cc", "control/status.h"),
        ]:
            self.assertEqual(len(breaches(path, f'#include "{header}"\n')), 1, f"{path} -> {header}")

    def test_headers_are_named_by_their_module(self):
        self.assertEqual(len(breaches("daemon/core/a.cc", '#include "io.h"\n')), 1)

    def test_pure_modules_see_no_clock_file_or_thread(self):
        for header in ["chrono", "thread", "random", "fstream", "unistd.h", "sys/socket.h"]:
            self.assertEqual(len(breaches("daemon/core/a.cc", f"#include <{header}>\n")), 1, header)
            self.assertEqual(len(breaches("daemon/wire/a.cc", f"#include <{header}>\n")), 1, header)


class Lines(unittest.TestCase):
    def test_length(self):
        self.assertEqual(breaches("daemon/shell/a.cc", "\n" * 600), [])
        self.assertEqual(len(breaches("daemon/shell/a.cc", "\n" * 601)), 1)
        self.assertEqual(breaches("tests/unit/shell/a_test.cc", "\n" * 900), [])
        self.assertEqual(len(breaches("tests/unit/shell/a_test.cc", "\n" * 901)), 1)
        self.assertEqual(breaches("docs/long.md", "\n" * 2000), [])

    def test_words(self):
        self.assertEqual(len(breaches("docs/a.md", "see /wo" + "rk/main\n")), 1)
        self.assertEqual(len(breaches("nbd/a.cc", f"// {TASK}: later\n")), 1)
        self.assertEqual(breaches("nbd/a.cc", f"// {TASK}(ana): later\n"), [])
        self.assertEqual(len(breaches("daemon/core/a.cc", "  default:\n")), 1)
        self.assertEqual(breaches("daemon/core/a.h", "  X() = default;\n"), [])


class Twins(unittest.TestCase):
    def test_one_name_for_two_types(self):
        one = "namespace lockstep {\nstruct Io {\n  int a;\n};\n}  // namespace lockstep\n"
        self.assertEqual(len(list(check_twins({"daemon/core/a.h": one, "daemon/shell/b.h": one}))), 1)
        self.assertEqual(len(list(check_twins({"daemon/core/a.h": one, "nbd/b.h": one.replace("Io {", "Io final : Base {")}))), 1)

    def test_what_may_have_one_name(self):
        one = "namespace lockstep {\nstruct Io {\n  int a;\n};\n}  // namespace lockstep\n"
        for other in [one.replace("lockstep", "lockstep::nbd"), one.replace("Io {\n  int a;\n}", "Io"),
                      "namespace lockstep {\nnamespace {\nstruct Io {\n};\n}  // namespace\n}  // namespace lockstep\n"]:
            self.assertEqual(list(check_twins({"daemon/core/a.h": one, "daemon/shell/b.cc": other})), [])


if __name__ == "__main__":
    unittest.main()
