#!/usr/bin/python3
"""fio-profiles/run against a cluster: its table has a line of plausible numbers for each profile that was asked for."""

import sys

from lab import MIB, ROOT, Cluster, expect, run, skip, step, tool

RUN = ROOT / "fio-profiles" / "run"


def transferred(node):
    """KiB that clients have read and written so far."""
    device = node.status()["devices"][0]
    return device["read"], device["written"]


def table(*words):
    """The lines of the table as [profile, IOPS, MB/s, mean, median, 99th percentile]."""
    header, *lines = tool("env", "SECONDS_EACH=1", RUN, *words).stdout.splitlines()
    expect(header.split() == "profile IOPS MB/s mean us p50 us p99 us".split(), f"the table begins with '{header}'")
    return [[line.split()[0], *map(float, line.split()[1:])] for line in lines]


def profiles(node):
    uri = node.uri("r0")
    before = transferred(node)
    lines = table(uri, "w4k_qd32", "r4k_qd1")
    read, written = (after - start for after, start in zip(transferred(node), before))
    expect([line[0] for line in lines] == ["w4k_qd32", "r4k_qd1"], f"other profiles: {lines}")
    for name, iops, rate, mean, median, slow in lines:
        expect(iops > 0 and mean > 0 and 0 < median <= slow, f"{name}: {iops} IOPS, {mean}, {median}, {slow} us")
        # fio takes the times of the two a little differently, and what is printed is rounded.
        expect(abs(rate - iops * 0.004096) <= 0.1 + rate / 10, f"{name}: {iops} IOPS of 4 KiB in {rate} MB/s")
        step(f"{name}: {iops:.0f} IOPS, {rate} MB/s")
    # Each ran for at least a second.
    for kind, amount, line in [("written", written, lines[0]), ("read", read, lines[1])]:
        expect(amount >= line[1] * 4 * 0.9, f"{line[0]}: {amount} KiB were {kind} in a second of {line[1]} IOPS")


def slips(uri):
    unknown = tool(RUN, uri, "w4k_qd32", "nonsense", check=False)
    expect(unknown.returncode == 1 and "no profile nonsense" in unknown.stderr, f"an unknown profile: {unknown}")
    expect(not unknown.stdout, "profiles were run although one of them doesn't exist")
    usage = tool(RUN, check=False)
    expect(usage.returncode == 1 and usage.stdout.startswith("Usage: fio-profiles/run URI"), f"without a URI: {usage}")
    gone = tool(RUN, "nbd+unix:///?socket=/nonexistent", "r4k_qd1", check=False)
    expect(gone.returncode != 0 and gone.stderr, f"without a server: {gone}")


def test():
    engines = tool("fio", "--enghelp", check=False).stdout.split()
    if "nbd" not in engines:
        skip("fio has no nbd engine here")
    with Cluster(size=36 * MIB) as cluster:
        cluster.bring_up(primary=cluster.alpha)
        slips(cluster.alpha.uri("r0"))
        profiles(cluster.alpha)
        for node in cluster.nodes:
            node.wait_sync()


if __name__ == "__main__":
    sys.exit(run(test))
