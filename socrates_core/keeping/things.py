"""The kinds of things in SOCRATES_HOME, what there is of each, how large it is, and a bin with a way back."""

import os
import shutil
import time
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from socrates_core.errors import UserError, unknown
from socrates_core.evaluations.spec import evaluation_ids
from socrates_core.evaluations.spec import load_spec as load_evaluation_spec
from socrates_core.exposure import seals
from socrates_core.finetuning import library
from socrates_core.jobs.store import Job, list_jobs, store_lock
from socrates_core.projects import drafts
from socrates_core.projects.experiments import experiment_ids, load_experiment
from socrates_core.settings import folder, home

BIN = ".deleted"


@dataclass(frozen=True)
class Kind:
    """A kind of thing: a folder each in `folder`, or, with `endings`, the files of one name.

    One that is `own` work goes into an archive unless it is asked for without it. A job never does: it acts for the
    person who asked for it, on the machine where they did.
    """

    name: str
    folder: str
    endings: tuple[str, ...] = ()
    own: bool = True
    archived: bool = True


KINDS = {
    kind.name: kind
    for kind in (
        Kind("draft", "drafts"),
        Kind("run", "runs"),
        Kind("experiment", "experiments"),
        Kind("evaluation", "evaluations"),
        Kind("finetune", "trainings"),
        Kind("adapter", "adapters"),
        Kind("rationales", "rationales", (".json", ".parquet")),
        Kind("split", "splits", (".json",)),
        Kind("scales", "overrides", (".json",)),
        Kind("population", "margins", (".csv", ".yaml")),
        Kind("upload", "imports", own=False),
        Kind("corpus", "corpora", own=False),
        Kind("model", "models", own=False),
        Kind("job", "jobs", own=False, archived=False),
    )
}


@dataclass(frozen=True)
class Thing:
    """One thing with its files or its folder; `changed` is ISO 8601, UTC. `deleted` names its place in the bin."""

    kind: Kind
    name: str
    paths: tuple[Path, ...]
    deleted: str = ""

    @property
    def n_bytes(self) -> int:
        return sum(file.lstat().st_size for file in self.files())

    @property
    def changed(self) -> str:
        latest = max((file.lstat().st_mtime for file in self.files()), default=0.0)
        return datetime.fromtimestamp(latest, UTC).isoformat(timespec="seconds")

    def files(self) -> Iterator[Path]:
        """Every file of the thing; what a link points to belongs to something else."""
        for path in self.paths:
            yield from files_in(path)


def files_in(path: Path) -> Iterator[Path]:
    """The files below a path, or the path itself where it is a file or a link."""
    if path.is_symlink() or path.is_file():
        yield path
    elif path.is_dir():
        for each in sorted(path.iterdir()):
            yield from files_in(each)


def kind_of(name: str) -> Kind:
    """The kind called `name`. Raises UserError where there is none."""
    if name not in KINDS:
        raise unknown("kind of thing", name, KINDS)
    return KINDS[name]


def things(kind: Kind) -> list[Thing]:
    """All there is of a kind, in order of name."""
    return _things(kind, home() / kind.folder)


def thing(kind: Kind, name: str) -> Thing:
    """One thing by its name. Raises UserError where it is unknown."""
    known = {each.name: each for each in things(kind)}
    if name not in known:
        raise unknown(kind.name, name, known)
    return known[name]


def _things(kind: Kind, root: Path, deleted: str = "") -> list[Thing]:
    found: dict[str, list[Path]] = {}
    for path in sorted(root.glob("[!.]*")):
        if kind.endings and path.is_file() and path.suffix in kind.endings:
            found.setdefault(path.stem, []).append(path)
        elif (
            not kind.endings
            and path.is_dir()
            and not (kind.name == "job" and not (path / "job.json").exists())
        ):
            found[path.name] = [path]
    return [Thing(kind, name, tuple(paths), deleted) for name, paths in found.items()]


def sizes() -> dict[str, tuple[int, int]]:
    """How many things and how many bytes there are of each kind, then of the cache, the bin and everything else."""
    told = {}
    for kind in KINDS.values():
        found = things(kind)
        told[kind.name] = (len(found), sum(each.n_bytes for each in found))
    binned = bin_things()
    cached = list(files_in(home() / "cache"))
    told["cache"] = (len(cached), sum(file.lstat().st_size for file in cached))
    told["bin"] = (len(binned), sum(each.n_bytes for each in binned))
    everything = sum(file.lstat().st_size for file in files_in(home()))
    told["other"] = (0, max(everything - sum(n_bytes for _, n_bytes in told.values()), 0))
    return told


def users(kind: Kind, name: str) -> list[Job]:
    """The queued or running jobs that work with the thing."""
    if kind.name in ("model", "adapter"):
        return library.jobs_using(name)
    active = [job for job in list_jobs() if job.active]
    if kind.name in ("corpus", "split", "rationales", "scales", "population"):
        return [job for job in active if job.kind not in ("fetch", "merge")]
    return [job for job in active if name == job.id or name in map(str, job.args.values())]


def consequences(kind: Kind, name: str) -> list[str]:
    """Sentences that say what will miss the thing once it is deleted."""
    if kind.name in ("model", "adapter"):
        others = library.needed_by(name)
        return [f"Without it these adapters cannot answer: {', '.join(others)}."] if others else []
    if kind.name == "run":
        resting = [
            f"The experiment {each!r} rests on it." for each in experiment_ids() if name in _runs_of(each)
        ]
        sealed = ["It is sealed; without its files the seal proves nothing."] if _is_sealed(name) else []
        return sealed + resting
    if kind.name == "corpus":
        used = sum(_corpus_of(each) == name for each in evaluation_ids())
        told = "Drafts and runs from its studies are shown without people's answers."
        return [told, *([f"{used} evaluations on it cannot be compared."] if used else [])]
    return []


def _runs_of(experiment_id: str) -> list[str]:
    try:
        return [str(run_id) for run_id in load_experiment(experiment_id).run_ids]
    except UserError:
        return []


def _is_sealed(run_id: str) -> bool:
    try:
        return seals.seal_of(run_id) is not None
    except UserError:
        return False


def _corpus_of(evaluation_id: str) -> str:
    try:
        return load_evaluation_spec(evaluation_id).corpus
    except UserError:
        return ""


def delete(kind: Kind, name: str) -> None:
    """Moves a thing to the bin. Raises UserError where it is unknown, or a queued or running job works with it."""
    if kind.name in ("model", "adapter"):
        return library.delete(name)
    if kind.name == "draft":
        return drafts.delete(name)
    with store_lock():
        found = thing(kind, name)
        if jobs := users(kind, name):
            raise UserError(
                f"The {kind.name} {name!r} is in use by {', '.join(repr(job.title) for job in jobs)} (queued or "
                "running). Wait for that job, or cancel it first."
            )
        place = folder(kind.folder, BIN, str(time.time_ns()))
        for path in found.paths:
            os.replace(path, place / path.name)
    return None


def bin_things() -> list[Thing]:
    """What is in the bin, of each kind the latest first."""
    found = []
    for kind in KINDS.values():
        root = home() / kind.folder / BIN
        places = sorted((path for path in root.glob("*") if path.name.isdigit()), reverse=True)
        found += [each for place in places for each in _things(kind, place, place.name)]
        found += [each for each in _things(kind, root, "-") if not each.name.isdigit()]
    return found


def in_bin(kind: Kind, name: str) -> Thing:
    """The thing of that name that was deleted last. Raises UserError where there is none."""
    known = {each.name: each for each in reversed(bin_things()) if each.kind == kind}
    if name not in known:
        raise unknown(f"deleted {kind.name}", name, known)
    return known[name]


def restore(kind: Kind, name: str) -> None:
    """Brings a thing back from the bin. Raises UserError where it is not there, or its name is taken by now."""
    found = in_bin(kind, name)
    targets = [home() / kind.folder / path.name for path in found.paths]
    with store_lock():
        if any(os.path.lexists(target) for target in targets):
            raise UserError(f"There is another {kind.name} {name!r} by now. Delete that one first.")
        for path, target in zip(found.paths, targets, strict=True):
            os.replace(path, target)
    _tidy(found)


def discard(found: Thing) -> None:
    """Deletes a thing of the bin for good, which frees its space."""
    for path in found.paths:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
    _tidy(found)


def _tidy(found: Thing) -> None:
    place = home() / found.kind.folder / BIN / found.deleted
    if found.deleted.isdigit() and not any(place.iterdir()):
        place.rmdir()
