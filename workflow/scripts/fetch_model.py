"""Fetch a backbone's files, as safetensors, and record where they came from."""

from pathlib import Path

from peftuq import artifacts, program
from peftuq.data import sources
from peftuq.progress import Log

args = program.arguments(__doc__, ["spec", "downloads"])


def main(log: Log) -> None:
    output = Path(args.output[0])
    with artifacts.atomic_folder(output.parent) as folder:
        source = {**args.spec["source"], "repo_type": "model"} if args.spec["kind"] == "hub" else args.spec["source"]
        provenance = sources.fetch(args.spec["kind"], source, folder, Path(args.downloads))
        if args.spec["gguf"]:
            from peftuq.models import gguf

            log(f"dequantising {args.spec['gguf']}")
            provenance |= gguf.convert(folder, args.spec["gguf"])
        artifacts.write_json(folder / output.name, provenance)


program.run(main, Log(args.log, f"fetch_model {args.spec['name']}"))
