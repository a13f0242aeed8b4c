"""The flight recordings of a chaos run, each run again through the core."""

from lab import BIN, tool

SAME, DIFFERS = 0, 1


class Replays:
    """Every recording that the nodes kept. One whose beginning the ring has overwritten can be shown and not replayed."""

    def __init__(self, nodes):
        self.same, self.unreplayable, self.differing = 0, [], []
        for node in nodes:
            for path in sorted((node.run_dir / "flight").glob("*.flight*")):
                self._replay(path)

    def _replay(self, path):
        done = tool(BIN / "lockstep-replay", path, check=False, patience=120)
        if done.returncode == SAME:
            self.same += 1
        elif done.returncode == DIFFERS:
            self.differing.append(f"{path}:\n{done.stdout}{done.stderr}")
        else:
            self.unreplayable.append(f"{path.name}: {done.stderr.strip().splitlines()[-1:]}")

    def __str__(self):
        text = f"recordings: {self.same} end in the same state when they are replayed"
        if self.unreplayable:
            text += f", {len(self.unreplayable)} cannot be replayed ({'; '.join(self.unreplayable)})"
        if self.differing:
            text += f", {len(self.differing)} DIFFER: " + "\n".join(self.differing)
        return text
