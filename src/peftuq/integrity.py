"""Identity and checksum inside every file that a job writes and another reads; both are checked before it is used.

One text in the file's own metadata (safetensors, parquet), or under the key `_integrity` (JSON; of a list, and of JSON
lines, the last item):

    peftuq-integrity path=records/m/d/r/seed0.safetensors spec=… code=… inputs=… content=… sha256=…;

`path` is the file's below `results`: it names model, dataset, recipe, seed, predictive and score. `spec` and `code` are
digests of the job that made it, `inputs` one of the identities of all that it read: an identity is a function of
configuration and code alone, down to what was fetched. `content` is the sha256 of the file before the text came in:
equal for equal results, whichever job made them. `sha256` is that of the whole file with zeros in its own place, so
that no byte may change.
"""

import hashlib
import json
import mmap
import os
import re
import shutil
import struct
from collections.abc import Callable, Container, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path

from peftuq import fetched
from peftuq.errors import UserError
from peftuq.files import INTEGRITY, atomic, read_json, read_lines

RESULTS = "PEFTUQ_RESULTS"  # the environment variable that names the folder below which files are named
_NONE = "0" * 64
_PREFIX = b"peftuq-integrity "
_TEXT = re.compile(
    rb"peftuq-integrity path=([^\"\\\0= ]+) spec=([0-9a-f]+) code=([0-9a-f]+) inputs=([0-9a-f]+)"
    rb" content=([0-9a-f]{64}) sha256=([0-9a-f]{64});"
)
_SNAKEMAKES = ".snakemake_timestamp"  # what Snakemake puts into a folder that a job makes
_REMEDY = "delete it and run again"


def digest(*texts: str) -> str:
    """16 hex digits that stand for some texts in their order."""
    return hashlib.sha256("\n".join(texts).encode()).hexdigest()[:16]


@dataclass(frozen=True)
class Made:
    """The job that makes a file: digests of its spec, its code and the identities of its inputs."""

    spec: str
    code: str
    inputs: str


@dataclass(frozen=True)
class Identity:
    """A file by its path below `results` and the job that makes it."""

    path: str
    made: Made

    @property
    def digest(self) -> str:
        return digest(self.path, self.made.spec, self.made.code, self.made.inputs)

    def __str__(self) -> str:
        return f"path={self.path} spec={self.made.spec} code={self.made.code} inputs={self.made.inputs}"


def of_inputs(identities: Iterable[str]) -> str:
    """The digest of the identities of a job's inputs, in any order."""
    return digest(*sorted(identities))


@dataclass(frozen=True)
class Job:
    """Identity of a job, and the digests of the identities that its inputs must have; as text, a word of a command."""

    made: Made
    expected: frozenset[str]

    def __str__(self) -> str:
        return ":".join((self.made.spec, self.made.code, self.made.inputs, *sorted(self.expected)))

    @classmethod
    def parse(cls, text: str) -> "Job":
        spec, code, inputs, *expected = text.split(":")
        return cls(Made(spec, code, inputs), frozenset(expected))


def relative(path: str, results: str) -> str:
    """A file's path below `results`, also where a storage provider keeps its folder elsewhere."""
    head = f"{results}/"
    if path.startswith(head):
        return path.removeprefix(head)
    _, found, rest = path.rpartition(f"/{head.lstrip('/')}")
    return rest if found else Path(path).name


# -- reading ------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class Carried:
    """Identity and checksum in a file: `place` is where its checksum stands, `actual` the checksum of its bytes."""

    identity: Identity
    content: str
    sha256: str
    place: int
    actual: str | None


def carried(path: str | Path, whole: bool = False) -> Carried | None:
    """A file's identity, with `whole` also the checksum of its bytes; None where it carries none."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size == 0:  # cannot be mapped
            return None
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as view:
            start = view.find(_PREFIX)
            found = _TEXT.match(view, start) if start >= 0 else None
            if found is None:
                return None
            name, spec, code, inputs, before, checksum = (group.decode(errors="replace") for group in found.groups())
            place, end = found.span(6)
            actual = _without(view, place, end) if whole else None
    return Carried(Identity(name, Made(spec, code, inputs)), before, checksum, place, actual)


def _without(view: mmap.mmap, start: int, end: int) -> str:
    """The sha256 of a file with zeros in the place of its checksum."""
    hashed = hashlib.sha256()
    with memoryview(view) as whole, whole[:start] as before, whole[end:] as after:
        for part in (before, _NONE.encode(), after):
            hashed.update(part)
    return hashed.hexdigest()


def check(path: str | Path, expected: Container[str] | None = None) -> None:
    """Refuse a file that is damaged, another's, or (where `expected` is given) of no expected identity's digest.

    Raises `UserError` with the remedy, `OSError` if it cannot be
    read. Costs one pass of SHA-256 over the file.
    """
    found = carried(path, whole=True)
    if found is None:
        raise UserError(f"{path}: damaged, or made by an earlier version: it carries no identity; {_REMEDY}")
    if found.actual != found.sha256:
        raise UserError(f"{path}: damaged: its bytes do not match its checksum; {_REMEDY}")
    name = found.identity.path
    if Path(path).parts[-len(Path(name).parts) :] != Path(name).parts:
        raise UserError(f"{path}: is another's file, {name}; {_REMEDY}")
    if expected is not None and found.identity.digest not in expected:
        raise UserError(f"{path}: made from another configuration, or by other code; {_REMEDY}")


def identity(path: str | Path) -> Identity | None:
    """The identity that a file carries, unchecked."""
    found = carried(path)
    return None if found is None else found.identity


def content(path: str | Path) -> str:
    """The sha256 of a file without its identity: equal for equal results, whichever job made them."""
    found = carried(path)
    return sha256(path) if found is None else found.content


def sha256(path: str | Path) -> str:
    with open(path, "rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def check_fetched(provenance: Path) -> None:
    """Refuse fetched files that are not those that their provenance lists, to the byte; raises `UserError`."""
    noted = read_json(provenance)
    wanted = {**noted["files"], **noted.get("made", {})}
    for name in noted.get("gone", []):
        wanted.pop(name, None)
    folder = fetched.files(provenance)
    remedy = f"delete {provenance} and run again"
    if not folder.is_dir():
        raise UserError(f"{folder}: missing; {remedy}")
    there = {path.relative_to(folder).as_posix(): path for path in folder.rglob("*") if path.is_file()}
    there.pop(_SNAKEMAKES, None)
    if odd := sorted(wanted.keys() ^ there.keys()):
        raise UserError(f"{folder / odd[0]}: {'missing' if odd[0] in wanted else 'was not fetched'}; {remedy}")
    with ThreadPoolExecutor(4) as pool:  # hashing leaves the interpreter's lock: files of one model go side by side
        found = dict(zip(there, pool.map(sha256, there.values()), strict=True))
    for name in sorted(wanted):
        if found[name] != wanted[name]:
            raise UserError(f"{there[name]}: damaged: its bytes do not match its checksum; {remedy}")


# -- writing ------------------------------------------------------------------------------------------


def embed(path: str | Path, identity: Identity) -> None:
    """Put an identity, in place of any other, and the checksum into a file; one without a place for them stays."""
    path = Path(path)
    write = _FORMATS.get(path.suffix)
    if write is None:
        return
    text = f"{_PREFIX.decode()}{identity} content={content(path)} sha256={_NONE};"
    with atomic(path) as temporary:
        write(path, temporary, text)
        found = carried(temporary, whole=True)
        assert found is not None and found.actual is not None, path
        with open(temporary, "r+b") as file:
            file.seek(found.place)
            file.write(found.actual.encode())


def _json(path: Path, target: Path, text: str) -> None:
    value = read_json(path)
    value = {**value, INTEGRITY: text} if isinstance(value, dict) else [*value, {INTEGRITY: text}]
    target.write_text(json.dumps(value, sort_keys=True, indent=1) + "\n")


def _json_lines(path: Path, target: Path, text: str) -> None:
    rows = [*read_lines(path), {INTEGRITY: text}]
    target.write_text("".join(json.dumps(row) + "\n" for row in rows))


def _safetensors(path: Path, target: Path, text: str) -> None:
    """A header of its own making: the library writes several entries in an order that differs from time to time."""
    with open(path, "rb") as source, open(target, "wb") as made:
        (length,) = struct.unpack("<Q", source.read(8))
        header = json.loads(source.read(length))
        header["__metadata__"] = {**header.get("__metadata__", {}), "integrity": text}
        described = json.dumps(header, sort_keys=True, separators=(",", ":")).encode()
        described += b" " * (-len(described) % 8)  # the data begin at a multiple of 8, as the format has it
        made.write(struct.pack("<Q", len(described)) + described)
        shutil.copyfileobj(source, made, 1 << 20)


def _parquet(path: Path, target: Path, text: str) -> None:
    import pyarrow.parquet as pq

    table = pq.read_table(path)
    noted = {key: value for key, value in (table.schema.metadata or {}).items() if key != b"integrity"}
    table = table.replace_schema_metadata(noted)
    with pq.ParquetWriter(target, table.schema, compression="zstd") as writer:
        writer.write_table(table)
        # Beside the schema: of what stands in it the format keeps a second, encoded copy.
        writer.add_key_value_metadata({"integrity": text})


_FORMATS: dict[str, Callable[[Path, Path, str], None]] = {
    ".json": _json,
    ".jsonl": _json_lines,
    ".safetensors": _safetensors,
    ".parquet": _parquet,
}
