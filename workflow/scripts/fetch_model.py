"""Fetch a backbone's files, as safetensors, and record where they came from."""

from pathlib import Path

from peftuq import files, program
from peftuq.data import sources
from peftuq.models import convert
from peftuq.progress import Log

args = program.arguments(__doc__, ["spec", "downloads"])


def main(log: Log) -> None:
    stamp, laid_out = map(Path, args.output)
    with files.atomic_folder(laid_out) as folder:
        provenance = sources.fetch(args.spec["kind"], args.spec["source"], folder, Path(args.downloads))
        if args.spec["gguf"]:
            log(f"dequantising {args.spec['gguf']}")
            provenance |= convert.from_gguf(folder, args.spec["gguf"])
        provenance |= convert.from_torch(folder)
        # What was fetched may be gone by now: whoever reads the folder is told by what it became.
        fetched, there = provenance["files"], sources.inventory(folder)
        provenance["made"] = {name: digest for name, digest in there.items() if fetched.get(name) != digest}
    files.write_json(stamp, provenance)


program.run(main, Log(args.log, f"fetch_model {args.spec['name']}"))
