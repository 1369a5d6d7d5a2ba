"""Fetch a backbone's files, as safetensors, and record where they came from."""

from dataclasses import dataclass
from pathlib import Path

from peftuq.jobs import program
from peftuq.progress import Log
from peftuq.specs.fetch import FetchModel


@dataclass(frozen=True, kw_only=True)
class Arguments(program.Arguments):
    spec: FetchModel
    downloads: str
    provenance: program.Output
    files: program.Output


def main(args: Arguments, log: Log) -> None:
    from peftuq import files
    from peftuq.data import sources
    from peftuq.data.model_files import ModelFolder
    from peftuq.models import convert

    with files.atomic_folder(args.files) as folder:
        provenance = sources.fetch(args.spec.kind, args.spec.source, folder, Path(args.downloads))
        if args.spec.gguf:
            log(f"dequantising {args.spec.gguf}")
            provenance |= convert.from_gguf(folder, args.spec.gguf)
        provenance |= convert.from_torch(folder)
        # What was fetched may be gone by now: the folder's readers find what it became.
        fetched, there = provenance["files"], sources.inventory(folder)
        provenance["made"] = {name: digest for name, digest in there.items() if fetched.get(name) != digest}
        provenance["gone"] = sorted(fetched.keys() - there.keys())
    remedy = f"correct the {args.spec.kind} source in the file of the model {args.spec.name}"
    ModelFolder.of(args.files, remedy).check()
    files.write_json(args.provenance, provenance)


program.run(__doc__, Arguments, main)
