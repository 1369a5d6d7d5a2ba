"""New rows through a bundle, a chunk at a time: answers, probabilities, P(wrong), and which to answer at a risk."""

import itertools
import shutil
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from peftuq import files
from peftuq.errors import UserError
from peftuq.integrity import sha256
from peftuq.progress import Log, Progress
from peftuq.tool import adapter as adapters
from peftuq.tool import bundle
from peftuq.tool.bundle import Bundle
from peftuq.tool.columns import Row, example, stacked
from peftuq.tool.tables import Rows, scan

if TYPE_CHECKING:
    import pandas as pd

CHUNK = 2048  # rows: what a kill may cost, and what is in memory at a time
CONFIDENCE = 0.9
Columns = dict[str, Any]


@dataclass(frozen=True)
class Scorer:
    """A bundle with its model; `limit`: the score below which rows are answered, None where no risk is given."""

    bundle: Bundle
    adapted: Any
    limit: float | None

    @classmethod
    def load(
        cls, uq: Path, model: Path | None, adapter: Path | None, risk: float | None, confidence: float, log: Log
    ) -> "Scorer":
        """Raises `UserError` for another model or adapter than the bundle was fitted with."""
        for name, value in (("--risk", risk), ("--confidence", confidence)):
            if value is not None and not 0 < value < 1:
                raise UserError(f"{name}: must be between 0 and 1, got {value}")
        found = bundle.read(uq)
        folders = found.content.folders
        model, adapter = model or Path(folders["model"]), adapter or Path(folders["adapter"])
        adapters.describe(model, adapter)
        _check_digests(adapters.digests(model, adapter), found.content.sha256, model, adapter)
        limit = None if risk is None else found.threshold(risk, confidence)
        if limit == -np.inf:
            n = found.content.quality.rows
            log(f"--risk {risk}: the {n} held-out rows cannot show that any share of the answers keeps it: no row is "
                "answered; fit with more labelled rows, or raise the risk")  # fmt: skip
        return cls(found, adapters.load(model, adapter, found.content.task, log), limit)

    def __call__(self, rows: Iterable[Row], first: int) -> Columns:
        """Columns of the result for some rows, numbered from `first`; a row that is no example has a `problem`."""
        task, columns = self.bundle.content.task, self.bundle.content.columns
        problems: list[str | None] = []
        examples: list[Mapping[str, Any]] = []
        for row in rows:
            try:
                examples.append(self._readable(example(row, columns, task)))
                problems.append(None)
            except (ValueError, UserError) as error:
                problems.append(str(error))
        n, good = len(problems), np.array([problem is None for problem in problems], dtype=bool)
        probs, score, p_wrong = np.full((n, len(task.classes)), np.nan), np.full(n, np.nan), np.full(n, np.nan)
        if examples:
            record = self.adapted.run(self.adapted.encode(stacked(examples)))
            probs[good], score[good], p_wrong[good] = self.bundle(record.logits, record.h)
        answer = [
            task.classes[c] if ok else None for c, ok in zip(np.nan_to_num(probs).argmax(axis=1), good, strict=True)
        ]
        found: Columns = {"row": np.arange(first, first + n), "answer": answer}
        found |= {f"p_{name}": probs[:, place] for place, name in enumerate(task.classes)}
        found |= {"p_wrong": p_wrong, "score": score}
        if self.limit is not None:
            found["answered"] = good & (np.where(good, score, np.inf) < self.limit)
        return {**found, "problem": problems}

    def _readable(self, read: dict[str, Any]) -> dict[str, Any]:
        """An example whose prompt fits into the model. Raises `UserError` for one too long."""
        if self.bundle.content.task.kind == "choice":
            self.adapted.encode(stacked([read]))
        return read


def _check_digests(found: dict[str, str], fitted: dict[str, str], model: Path, adapter: Path) -> None:
    for name in sorted(found.keys() | fitted.keys()):
        if found.get(name) != fitted.get(name):
            what, _, file = name.partition("/")
            folder = model if what == "model" else adapter
            raise UserError(f"--{what}: {folder / file} is not the file that the bundle was fitted with: name that "
                            f"{what}, or run peftuq fit for this one")  # fmt: skip


def score_frame(scorer: Scorer, frame: "pd.DataFrame") -> "pd.DataFrame":
    """The result for a data frame, with its index."""
    import pandas as pd

    rows = Rows(frame, "data")
    scorer.bundle.content.columns.check(scan(rows)[1], rows.where)
    chunks = [scorer(chunk, first) for first, chunk in _chunks(rows)]
    return pd.concat([pd.DataFrame(chunk) for chunk in chunks], ignore_index=True).set_axis(frame.index)


class Counts(NamedTuple):
    """Rows of a result; how many of them have an answer, None where all examples have; how many are no examples."""

    rows: int
    answered: int | None
    problems: int

    def __str__(self) -> str:
        said = [f"{self.rows} rows"] + ([] if self.answered is None else [f"{self.answered} answered"])
        if self.problems:
            said.append(f"{self.problems} that are no examples, kept and marked in the column problem")
        return ", ".join(said)


def score_file(scorer: Scorer, data: Path, out: Path, log: Log) -> Counts:
    """Write the result for a file, as parquet with a row group a chunk; a killed run is taken up where it stopped.

    Raises `UserError`, before anything is computed, for a file that cannot be read to
    its end.
    """
    if out.suffix != ".parquet":
        raise UserError(f"--out: {out} must end in .parquet")
    if out.is_dir() or not out.absolute().parent.is_dir():
        raise UserError(f"--out: {out} is a folder, or in none: name a file in a folder that is there")
    rows = Rows(data, "--data")
    total, there = scan(rows)
    scorer.bundle.content.columns.check(there, rows.where)
    parts = out.with_name(f".{out.name}.parts")
    done = _resumed(parts, _key(scorer, data), log)
    progress = Progress(log, "rows", total, "rows", done=min(total, done * CHUNK))
    for first, chunk in _chunks(rows, done):
        files.write_columns(_part(parts, first // CHUNK), _arrow(scorer(chunk, first)))
        progress(len(chunk))
    count, bad, answered = _join(parts, out)
    shutil.rmtree(parts)
    return Counts(count, None if scorer.limit is None else answered, bad)


def _chunks(rows: Iterable[Row], done: int = 0) -> Iterator[tuple[int, list[Row]]]:
    every = itertools.islice(rows, done * CHUNK, None)
    for number in itertools.count(done):
        chunk = list(itertools.islice(every, CHUNK))
        if not chunk:
            return
        yield number * CHUNK, chunk


def _key(scorer: Scorer, data: Path) -> str:
    """All that decides a chunk's result: the bundle, the file, the limit."""
    content = scorer.bundle.content.model_dump(mode="json", exclude={"folders"})
    limit = None if scorer.limit is None else repr(scorer.limit)
    return files.canonical({"data": sha256(data), "bundle": content, "limit": limit, "chunk": CHUNK})


def _resumed(parts: Path, key: str, log: Log) -> int:
    """How many chunks an earlier run of the same job has left; what another job has left is removed."""
    mark = parts / "job.json"
    if mark.is_file() and mark.read_text() == key:
        done = next(number for number in itertools.count() if not _part(parts, number).is_file())
        if done:
            log(f"goes on after {done * CHUNK} rows that an earlier run has scored")
        return done
    shutil.rmtree(parts, ignore_errors=True)
    parts.mkdir()
    with files.atomic(mark) as temporary:
        temporary.write_text(key)
    return 0


def _part(parts: Path, number: int) -> Path:
    return parts / f"{number:08d}.parquet"


def _arrow(columns: Columns) -> Columns:
    """The same types in every chunk, whatever its rows are: NaN is null."""
    import pyarrow as pa

    types = {"answer": pa.string(), "problem": pa.string()}
    return {
        name: pa.array(values, types[name]) if name in types else pa.array(values, from_pandas=True)
        for name, values in columns.items()
    }


def _join(parts: Path, out: Path) -> tuple[int, int, int]:
    """Write all chunks as one file, a row group each; returns the rows, those with a problem, and those answered."""
    import pyarrow.compute as pc
    import pyarrow.parquet as pq

    count, bad, answered = 0, 0, 0
    with files.atomic(out) as temporary:
        writer = None
        for file in sorted(parts.glob("*.parquet")):
            table = pq.read_table(file)
            writer = writer or pq.ParquetWriter(temporary, table.schema, compression="zstd")
            writer.write_table(table)
            count, bad = count + len(table), bad + len(table) - table["problem"].null_count
            answered += (pc.sum(table["answered"]).as_py() or 0) if "answered" in table.column_names else 0
        assert writer is not None  # a file without rows was refused
        writer.close()
    return count, bad, answered
