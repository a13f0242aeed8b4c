"""The figures of many rounds as a table in Markdown."""

import math

TIMES = ["detect", "promote", "recover", "added_latency"]


def percentile(values, percent):
    """By nearest rank: a value that was measured."""
    ordered = sorted(values)
    return ordered[max(0, math.ceil(len(ordered) * percent / 100) - 1)]


def _cell(rounds, key):
    values = [one[key] for one in rounds if one[key] is not None]
    if not values:
        return "-"
    return " / ".join(f"{value:.2f}" for value in (percentile(values, 50), percentile(values, 99), max(values)))


def _row(settings, kind, rounds):
    answered = sum(one["answered"] for one in rounds)
    never = sum(one["never_answered"] for one in rounds)
    cells = [settings, kind, str(len(rounds)), *(_cell(rounds, key) for key in TIMES), str(sum(one["lost"] for one in rounds)),
             f"{never}/{answered + never}", str(sum(one["error_answers"] for one in rounds))]
    return "| " + " | ".join(cells) + " |"


def table(results):
    """Seconds: median / p99 / maximum."""
    lines = ["| settings | fault | rounds | detect | promote | recover | added latency | lost | never answered | error answers |",
             "|---" * 10 + "|"]
    for settings, kinds in results.items():
        lines += [_row(settings, kind, rounds) for kind, rounds in kinds.items() if rounds]
    return "\n".join(lines)
