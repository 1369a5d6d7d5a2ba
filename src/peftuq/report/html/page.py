"""The page: markup, style, program and data in one file that asks nothing of a network."""

import base64
import hashlib
import json
from pathlib import Path
from string import Template
from typing import Any

from peftuq.files import atomic
from peftuq.report.html import board, examples
from peftuq.report.html.blocks import Blocks
from peftuq.report.run import Run

HERE = Path(__file__).parent
TITLE = "Does a fine-tuned language model know when it is wrong?"


def write(run: Run, path: str) -> None:
    """Write the page of a run: the same results give the same bytes."""
    blocks = Blocks()
    index = _index(run, blocks)
    plotting = _plotting()
    index["plotting"] = blocks.add(plotting.encode())
    program = "".join(f"\n{file.read_text(encoding='utf-8')}" for file in _programs())
    page = Template((HERE / "page.html").read_text(encoding="utf-8")).substitute(
        title=TITLE,
        scripts=f"{_hash(program)} {_hash(plotting)}",
        style=(HERE / "page.css").read_text(encoding="utf-8"),
        index=_harmless(index),
        blocks=blocks.text,
        program=program,
    )
    with atomic(path) as temporary:
        temporary.write_text(page, encoding="utf-8", newline="\n")


def _index(run: Run, blocks: Blocks) -> dict[str, Any]:
    """All that the page knows from the start, and where the rest stands among the blocks."""
    found, texts, every = examples.sets(run, blocks)
    return {
        "settings": [list(setting) for setting in run.all_settings],
        "models": {name: model["title"] for name, model in run.models.items()},
        "tasks": {name: dataset["title"] for name, dataset in run.datasets.items()},
        "kinds": {name: dataset["kind"] for name, dataset in run.datasets.items()},
        "methods": board.titles(run),
        "metrics": board.metrics(),
        "costs": board.costs(run),
        "board": blocks.json(board.values(run)),
        "sets": found,
        "texts": texts,
        "every": every,
    }


def _programs() -> list[Path]:
    """The scripts in the order of their names: together one module."""
    return sorted(HERE.glob("*.js"))


def _plotting() -> str:
    from plotly.offline import get_plotlyjs

    return get_plotlyjs()


def _hash(script: str) -> str:
    """The name by which the page's policy lets a script run, and no other."""
    return f"'sha256-{base64.b64encode(hashlib.sha256(script.encode()).digest()).decode()}'"


def _harmless(value: Any) -> str:
    """JSON in which no markup can end the element that holds it."""
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return text.replace("<", "\\u003c").replace(">", "\\u003e").replace("&", "\\u0026")
