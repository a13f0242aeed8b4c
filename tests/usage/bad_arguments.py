#!/usr/bin/python3
"""Bad arguments and files: each ends with exit status 2 and one line on stderr that says what is wrong.

bad_arguments.py DIRECTORY-OF-PROGRAMS
"""

import re
import subprocess
import sys
import tempfile
from pathlib import Path

BIN = Path(sys.argv[1])
SYSTEM = Path(__file__).resolve().parents[1] / "system"
PATIENCE = 10  # seconds; a bad argument is noticed at once

# Arguments (with DIR, SMALL and RECORDING for what is made here) and what stderr has to match.
COMMAND_LINES = {
    "lockstep-sim": [
        ("--mutant ack_without_peers", r"--mutant NAME goes with --mutants or --shrink"),
        ("--mutants --mutant nonsense", r"--mutant nonsense: there is none; tests/sim/mutants.h"),
        ("--shrink --mutant nonsense", r"--mutant nonsense: there is none"),
        ("--mutant nonsense", r"--mutant nonsense: there is none"),
        ("--mutants --shrink", r"--mutants and --shrink do not go together"),
        ("--mutants --trace", r"--mutants and --trace do not go together"),
        ("--shrink --record DIR", r"--shrink and --record do not go together"),
        ("--seeds 0", r"--seeds 0: it takes a whole number from 1 on"),
        ("--seeds -1", r"--seeds -1: it takes a whole number"),
        ("--seeds 1x", r"--seeds 1x: it takes a whole number"),
        ("--seeds 99999999999999999999", r"--seeds 9+: it takes a whole number"),
        ("--first-seed -1", r"--first-seed -1: it takes a whole number"),
        ("--seconds -1", r"--seconds -1: it takes a whole number"),
        ("--seconds 0", r"--seconds 0: it takes a whole number from 1 on"),
        ("--threads 0", r"--threads 0: it takes a whole number from 1 to 1024"),
        ("--threads -1", r"--threads -1: it takes a whole number"),
        ("--data-nodes -3", r"--data-nodes -3: it takes a whole number from 2 to 3"),
        ("--data-nodes 1", r"--data-nodes 1: it takes a whole number from 2 to 3"),
        ("--data-nodes 4", r"--data-nodes 4: it takes a whole number from 2 to 3"),
        ("--seeds 1 --record DIR/none", r"--record \S+/none: nothing can be written there: No such file or directory"),
        ("--seeds 1 --record SMALL", r"--record \S+: nothing can be written there: Not a directory"),
        ("--seeds 1 --record /proc", r"--record /proc: nothing can be written there"),
        ("--seeds 5 --require-coverage", r"--require-coverage with 5 seeds: it takes --seeds 2000 or more"),
        ("--seeds 1 word", r'"word" is one word too many'),
        ("--nonsense", r"unrecognised option '--nonsense'; see lockstep-sim --help"),
    ],
    "lockstep-register-check": [
        ("--fences 99999 --two-voters", r"--fences 99999: it takes a whole number from 0 to 16"),
        ("--rounds -1", r"--rounds -1: it takes a whole number from 1 to 16"),
        ("--rounds 0", r"--rounds 0: it takes a whole number from 1 to 16"),
        ("--crashes -1", r"--crashes -1: it takes a whole number from 0 to 16"),
        ("--wipes 17", r"--wipes 17: it takes a whole number from 0 to 16"),
        ("--two-voters --wipes 1", r"--two-voters has no witness"),
        ("word", r'"word" is one word too many'),
        ("--nonsense", r"unrecognised option '--nonsense'"),
    ],
    "lockstep-replay": [
        ("", r"which file\?"),
        ("DIR", r"is a directory: name a recording in it"),
        ("DIR/none", r"cannot open \S+/none: No such file or directory"),
        ("/dev/zero", r"/dev/zero is not a regular file"),
        ("SMALL", r"recording"),
        ("RECORDING --story --from 999999999999", r"the recording ends with event \d+, before --from 999999999999"),
        ("RECORDING --story --from 5 --to 3", r"--from 5 is beyond --to 3"),
        ("RECORDING --from 5", r"--from says where --story or --trace begins"),
        ("RECORDING --to -1", r"--to -1: it takes a whole number"),
        ("RECORDING word", r'"word" is one word too many'),
    ],
    "lockstep-scenario": [
        ("", r"which stories\? Name one FILE or more"),
        ("DIR", r"is a directory: name the stories in it"),
        ("DIR/none", r"none: cannot be read"),
        ("SMALL", r"small:2: a step's commands end with ----"),
        ("--seeds 0 SMALL", r"--seeds 0: it takes a whole number from 1 on"),
        ("--seeds -1 SMALL", r"--seeds -1: it takes a whole number"),
        ("--nonsense SMALL", r"unrecognised option '--nonsense'"),
    ],
    "kill_primary": [
        ("--rounds 0", r"argument --rounds: 0 is less than 1"),
        ("--blocks -1", r"argument --blocks: -1 is less than 1"),
        ("--size 0", r"argument --size: 0 is less than 1"),
    ],
}

# The last commands of a story, and what stderr says after "bad:LINE: COMMAND: ". What is no `cluster` itself follows a promotion
# in the smallest one.
COMMANDS = [
    ("cluster nodes=9", r"nodes=9: it takes a number from 2 to 3"),
    ("cluster nodes=1", r"nodes=1: it takes a number from 2 to 3"),
    ("cluster nodes=99999999999999999", r"nodes=99999999999999999: it takes a number from 2 to 3"),
    ("cluster nodes=-2", r"expected nodes instead of '-2'"),
    ("cluster witnesses=9", r"witnesses=9: it takes a number from 0 to 2"),
    ("cluster clients=1000000", r"clients=1000000: it takes a number from 0 to 16"),
    ("cluster lease=0", r"lease=0: it takes a number from 50 to 60000"),
    ("cluster witness-timeout=99999999", r"witness-timeout=99999999: it takes a number from 0 to 3600000"),
    ("cluster nonsense=1", r"no option 'nonsense'"),
    ("cluster word", r"expected nothing more instead of 'word'"),
    ("cut a a", r"there is no cable from 'a' to 'a'"),
    ("cut a > a", r"there is no cable from 'a' to 'a'"),
    ("cut a c", r"'c' is no data node of this cluster"),
    ("cut a v", r"no witness 'v' in this cluster"),
    ("cut v", r"no witness 'v' in this cluster"),
    ("mend c", r"'c' is no data node of this cluster"),
    ("cut a z", r"expected a node or witness instead of 'z'"),
    ("reset a a", r"there is no cable from 'a' to 'a'"),
    ("disconnect a a", r"'a' is no peer of itself"),
    ("connect a a", r"'a' is no peer of itself"),
    ("invalidate-remote a a", r"'a' is no peer of itself"),
    ("discard a a", r"'a' is no peer of itself"),
    ("until connected a a", r"'a' is no peer of itself"),
    ("until nonsense a b", r"no condition 'nonsense'"),
    ("write a 18446744073709551615+3", r"18446744073709551615\+3 is not within the volume's \d+ blocks"),
    ("write a 99999999999999999999", r"expected blocks \(5, or 5\+3\) instead of"),
    ("write a 5+99999999", r"5\+99999999 is not within the volume's \d+ blocks"),
    ("write a 5+0", r"expected blocks"),
    ("write a -5", r"expected blocks"),
    ("run 99999999999999s", r"99999999999999s is longer than an hour: 3600s at most"),
    ("run -1s", r"expected how long instead of '-1s'"),
    ("run 3", r"expected how long instead of '3'"),
    ("write a 5 within 3601s", r"3601s is longer than an hour"),
    ("start a lease=0", r"lease=0: it takes a number from 50 to 60000"),
    ("at answered of a nth=0 kill a", r"nth=0: it takes a number from 1 to 1000000"),
    ("trim a 5+2\nzero a 6", r"block 6 was trimmed or zeroed before: once a story"),
    ("disk a slow\nwrite a 5\nwipe a", r"a's disk is still busy after 5 s"),
    ("at answered of a cut a a\nwrite a 5", r"in the moment for 'cut a a': there is no cable from 'a' to 'a'"),
    ("nonsense", r"no command 'nonsense'"),
]


def run(program, arguments):
    """The complaint about one call; empty if all is as it should be. And what the program said."""
    path = SYSTEM / program if program == "kill_primary" else BIN / program
    try:
        done = subprocess.run([path, *arguments], capture_output=True, text=True, errors="replace", timeout=PATIENCE, check=False,
                              stdin=subprocess.DEVNULL)
    except subprocess.TimeoutExpired:
        return f"no end within {PATIENCE} s", ""
    lines = done.stderr.splitlines()
    if done.returncode != 2:
        return f"exit status {done.returncode} instead of 2", done.stderr
    if len(lines) != 1 and program != "kill_primary":  # argparse tells the usage first
        return f"{len(lines)} lines on stderr instead of one", done.stderr
    return "", done.stderr


def judge(program, arguments, pattern, what):
    wrong, said = run(program, arguments)
    if not wrong and not re.search(pattern, said):
        wrong = f"nothing about /{pattern}/"
    if wrong:
        print(f"{program} {what}: {wrong}: {said[-1000:]}")
    return not wrong


def judge_command(command, pattern, directory):
    first = command if command.startswith("cluster") else "cluster\npromote a\n----\na is Primary\n\n" + command
    story = directory / "bad.txt"
    story.write_text(f"# A bad story.\n\n{first}\n----\n")
    line = 3 if command.startswith("cluster") else 8
    expected = f"^lockstep-scenario: bad:{line}: {re.escape(command.splitlines()[-1])}: {pattern}"
    return judge("lockstep-scenario", ["--seeds", "1", story], expected, command)


def main():
    good, judged = True, 0
    with tempfile.TemporaryDirectory() as name:
        directory = Path(name)
        (directory / "small").write_text("hello\n")
        subprocess.run([BIN / "lockstep-sim", "--seeds", "1", "--record", directory], check=True, stdout=subprocess.DEVNULL)
        recordings = sorted(directory.glob("*.flight"))
        made = {"DIR": name, "SMALL": f"{name}/small", "RECORDING": str(recordings[0])}
        for program, cases in COMMAND_LINES.items():
            for arguments, pattern in cases:
                words = [re.sub("|".join(made), lambda match: made[match[0]], word) for word in arguments.split()]
                good = judge(program, words, pattern, arguments) and good
                judged += 1
        for command, pattern in COMMANDS:
            good = judge_command(command, pattern, directory) and good
            judged += 1
        if list(directory.glob("lockstep-sim-*")):
            print("lockstep-sim leaves behind what it tried --record with")
            good = False
    print(f"{judged} bad calls{'' if good else ', not all of them noticed as they should be'}")
    return 0 if good else 1


if __name__ == "__main__":
    sys.exit(main())
