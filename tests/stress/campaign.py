"""Kill a small study at random moments until it is done, again and again, and count what that costs.

Each round runs a study in a folder of its own. In stages that are drawn (planning, preparing, training, evaluating,
pages), one after the other, a process that is drawn (a script, its job's shell, Snakemake, the whole group) gets
SIGKILL, SIGTERM or SIGINT, every third time twice in a row; the recovery is interrupted as well. At the end the study
runs undisturbed. Then every artefact has to be that of a study that nobody interrupted, nothing may be left to do, and
no process, state, lock or partial file may be left. What a user would have to do by hand is counted: that is
Snakemake's own `--unlock`, and nothing else.
"""

import argparse
import random
import shutil
import subprocess
import sys
import tempfile
import time
from collections import Counter
from contextlib import nullcontext, suppress
from pathlib import Path

import psutil
from artefacts import artefacts, leftovers
from cluster import Cluster, why_not
from running import copy_configuration, copy_project, running, snakemake
from victims import STAGES, processes_in, stages_of, strike

STUDY = ("--configfile", Path(__file__).with_name("stress.yaml"))
RESULTS = Path("results", "stress")
INTERRUPTIONS = 30  # of one study at most
UNDISTURBED = 3  # runs after which a study has to be done
WAIT = 120.0  # seconds for a stage to begin, and for what outlived Snakemake to end
LONGEST = 1200.0  # seconds for a run of Snakemake to end


class Campaign:
    """Rounds of interrupted studies, and what became of them.

    Parameters
    ----------
    project
        A checkout that nobody edits meanwhile.
    folder
        An empty folder for the studies.
    options
        Further options of Snakemake.
    """

    def __init__(self, project: Path, folder: Path, options: tuple, rng: random.Random):
        self.project, self.folder, self.options, self.rng = project, folder, options, rng
        self.kills: Counter[tuple[str, str, str]] = Counter()
        self.counts: Counter[str] = Counter()
        self.wrong: list[str] = []

    def run(self, kills: int, minutes: float) -> None:
        """Run a study that nobody interrupts, and then rounds, until there are so many kills or the time is over."""
        started = time.monotonic()
        whole = self._new("whole")
        self.expected = self._run_undisturbed(whole)
        self.wrong += [f"{whole.name}: {left} is left" for left in self._left(whole)]
        print(f"a study that nobody interrupts took {time.monotonic() - started:.0f} s", flush=True)
        while self.kills.total() < kills and time.monotonic() - started < 60 * minutes:
            self.round()
            print(f"{self.kills.total()} kills, {len(self.wrong)} wrong", flush=True)

    def round(self) -> None:
        """Run one study, interrupted up to `INTERRUPTIONS` times."""
        self.counts["studies"] += 1
        directory = self._new(f"study{self.counts['studies']}")
        before = len(self.wrong)
        # in the order in which they come: a stage that is over would be waited for in vain, to the end of the study
        stages = self.rng.choices(STAGES, k=self.rng.randint(2, INTERRUPTIONS))
        for stage in sorted(stages, key=STAGES.index):
            if self._interrupted(directory, stage):
                break
        found = self._run_undisturbed(directory)
        differing = sorted(
            name for name in found.keys() | self.expected.keys() if found.get(name) != self.expected.get(name)
        )
        self.wrong += [f"{directory.name}: {name} differs or is lost" for name in differing]
        self.wrong += [f"{directory.name}: {left} is left" for left in self._left(directory)]
        if len(self.wrong) == before:
            shutil.rmtree(directory)

    def stop(self) -> None:
        """Kill what runs in any of the studies."""
        for directory in self.folder.iterdir():
            for process in processes_in(directory):
                # it may have ended by itself
                with suppress(psutil.Error):
                    process.kill()

    def report(self) -> str:
        """What was killed, what it cost, and what is wrong."""
        lines = [f"{self.kills.total()} kills in {self.counts['studies']} studies"]
        for what, place in (("stage", 0), ("process", 1), ("signal", 2)):
            by = Counter()
            for key, count in self.kills.items():
                by[key[place]] += count
            lines.append(f"  by {what}: {', '.join(f'{name} {count}' for name, count in by.most_common())}")
        lines.append(f"unlocked by hand, as Snakemake says: {self.counts['unlocked']}")
        lines.append(f"run once more though nobody had interrupted the run: {self.counts['run again']}")
        lines.append(f"wrong: {len(self.wrong)}")
        return "\n".join(lines + [f"  {line}" for line in self.wrong])

    def _new(self, name: str) -> Path:
        directory = self.folder / name
        directory.mkdir()
        return copy_configuration(directory)

    def _start(self, directory: Path) -> subprocess.Popen:
        with open(directory / "terminal.txt", "a", encoding="utf-8") as output:
            return running(
                *("--cores", 2, *self.options, *STUDY),
                project=self.project, directory=directory, stdout=output, start_new_session=True,
            )  # fmt: skip

    def _interrupted(self, directory: Path, stage: str) -> bool:
        """Run the study and interrupt it in a stage; whether it was done before that."""
        twice = self.rng.random() < 1 / 3
        process = self._start(directory)
        deadline = time.monotonic() + WAIT
        while process.poll() is None and time.monotonic() < deadline and stage not in stages_of(directory):
            time.sleep(0.02)
        time.sleep(self.rng.random() * 2)
        for _ in range(1 + twice):
            hit = None
            while process.poll() is None and hit is None:
                # it may be in another stage by now, and what is drawn need not be running at every moment
                seen = stages_of(directory)[0]
                hit = strike(directory, process.pid, self.rng)
            if hit:
                self.kills[seen, *hit] += 1
                time.sleep(self.rng.random())
        done = self._end_of(process) == 0
        self._unlock(directory)
        return done

    def _end_of(self, process: subprocess.Popen) -> int:
        """Wait for Snakemake, and return its status; one that hangs is killed, and is wrong."""
        try:
            return process.wait(LONGEST)
        except subprocess.TimeoutExpired:
            self.wrong.append(f"{Path(process.args[-1]).name}: Snakemake had not ended after {LONGEST:.0f} s")
            process.kill()
            return process.wait()

    def _unlock(self, directory: Path) -> None:
        """Do what Snakemake says where its lock is left."""
        locks = directory / ".snakemake" / "locks"
        if locks.is_dir() and any(locks.iterdir()):
            self.counts["unlocked"] += 1
            snakemake(*self.options, "--unlock", *STUDY, project=self.project, directory=directory)

    def _run_undisturbed(self, directory: Path) -> dict[str, str]:
        """Run the study to its end, and return its artefacts."""
        for _ in range(UNDISTURBED):
            if self._end_of(self._start(directory)) == 0:
                break
            self.counts["run again"] += 1
            # jobs that outlived Snakemake may still have been at work
            self._wait_for_the_others(directory)
            self._unlock(directory)
        else:
            self.wrong.append(f"{directory.name}: not done after {UNDISTURBED} runs, see its terminal.txt")
        plan = snakemake("--dry-run", *self.options, *STUDY, project=self.project, directory=directory).stdout
        if "Nothing to be done" not in plan:
            self.wrong.append(f"{directory.name}: something is left to do: {plan[-300:]!r}")
        return artefacts(directory / RESULTS)

    def _wait_for_the_others(self, directory: Path) -> None:
        deadline = time.monotonic() + WAIT
        while processes_in(directory) and time.monotonic() < deadline:
            time.sleep(0.2)

    def _left(self, directory: Path) -> list[str]:
        self._wait_for_the_others(directory)
        processes = [" ".join(process.cmdline()[:4]) for process in processes_in(directory)]
        return processes + leftovers(directory)


def slurm_options(project: Path) -> tuple:
    """Fill in the profile's blanks, and return the options that submit to the tests' cluster."""
    path = project / "profiles" / "slurm" / "config.yaml"
    text = path.read_text(encoding="utf-8")
    for blank, value in (("slurm_partition", "cpu"), ("slurm_partition", "gpu"), ("gpu_model", "fake")):
        text = text.replace(f'{blank}: ""', f"{blank}: {value}", 1)
    path.write_text(text, encoding="utf-8")
    return (
        *("--profile", path.parent, "--slurm-status-command", "squeue"),
        *("--slurm-init-seconds-before-status-checks", 2),
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--kills", type=int, default=40, help="how many kills at least (%(default)s)")
    parser.add_argument("--minutes", type=float, default=120, help="give up after about so many (%(default)g)")
    parser.add_argument("--seed", type=int, help="draw as an earlier campaign did")
    parser.add_argument("--slurm", action="store_true", help="through a SLURM that is started on this machine")
    parser.add_argument("--folder", type=Path, help="where to make the folder that studies are run in")
    args = parser.parse_args()
    if args.slurm and (reason := why_not()):
        sys.exit(f"error: --slurm: {reason}")
    seed = random.SystemRandom().randrange(10**6) if args.seed is None else args.seed
    if args.folder:
        args.folder.mkdir(parents=True, exist_ok=True)
    folder = Path(tempfile.mkdtemp(prefix="stress-", dir=args.folder)).resolve()
    # SLURM's daemons run as other users too
    folder.chmod(0o755)
    project = copy_project(folder / "project")
    options = slurm_options(project) if args.slurm else ()
    print(f"seed {seed}, in {folder}", flush=True)
    lab = folder / "slurm"
    lab.mkdir()
    campaign = Campaign(project, folder, options, random.Random(seed))
    with Cluster(lab) if args.slurm else nullcontext():
        try:
            campaign.run(args.kills, args.minutes)
        except KeyboardInterrupt:
            # what was found until then is told below
            campaign.stop()
    print(campaign.report())
    if campaign.wrong:
        sys.exit(f"error: see {folder}")
    shutil.rmtree(folder)
    if campaign.kills.total() < args.kills:
        sys.exit(f"error: these are fewer than {args.kills} kills; leave it, or give it, more time (--minutes)")


if __name__ == "__main__":
    main()
