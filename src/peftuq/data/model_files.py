"""A model's folder looked at before anything is loaded: every file whole, of its format, and of one model.

What only its weights or its library's code can show is found where the model is loaded (`models.backbone`).
"""

import json
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from peftuq.errors import UserError
from peftuq.files import read_text, unreadable

LARGEST = 2**24  # bytes of a configuration
LARGEST_VOCABULARY = 2**27  # bytes of a tokenizer's file: the largest in use have 35 MB
LONGEST_HEADER = 100_000_000  # bytes, as the format's own reader allows
TOKENIZERS = ("tokenizer.json", "tokenizer.model", "spiece.model", "vocab.txt", "vocab.json")
WEIGHTS, INDEX, PICKLED = "model.safetensors", "model.safetensors.index.json", "pytorch_model.bin"
_SETTINGS = ("tokenizer_config.json", "special_tokens_map.json", "added_tokens.json", "generation_config.json")
# Their positions begin behind the padding's id, which is 1 unless the configuration says otherwise.
_OFFSET_BY_PADDING = {"roberta", "xlm-roberta", "xlm-roberta-xl", "camembert", "mpnet", "longformer", "data2vec-text"}


@dataclass(frozen=True)
class ModelFolder:
    """`names`: the files of `folder` that count. `remedy`: what mends a file that is not as it should be.

    Every method raises `UserError`, a line that names the file, the key in it, and the remedy.
    """

    folder: Path
    names: frozenset[str]
    remedy: str

    @classmethod
    def of(cls, folder: str | Path, remedy: str, names: Iterable[str] | None = None) -> "ModelFolder":
        """All files at the top of `folder`, or those `names`."""
        if names is None:
            try:
                names = [path.name for path in Path(folder).iterdir()]
            except OSError as error:
                raise UserError(f"{folder}: {unreadable(error)}; {remedy}") from error
        return cls(Path(folder), frozenset(names), remedy)

    def check(self) -> dict[str, Any]:
        """Configuration, weights and tokenizer fit each other; returns the configuration."""
        config = self.configuration()
        self.weights()
        self.tokenizer(vocabulary(config))
        return config

    def configuration(self) -> dict[str, Any]:
        """The content of config.json, which names an architecture and asks for no code of its own."""
        if "config.json" not in self.names:
            raise UserError(f"{self.folder}: has no file config.json: {self.remedy}")
        config = self._object("config.json")
        if not isinstance(config.get("model_type"), str) or not config["model_type"]:
            raise self._wrong("config.json", "model_type is missing: it must be the architecture's name, such as bert")
        return config

    def weights(self) -> None:
        """Every file of weights is there, and as long as its header says."""
        if WEIGHTS in self.names:
            shards = [WEIGHTS]
        elif INDEX in self.names:
            shards = self._shards()
        elif PICKLED in self.names:
            return  # read, and replaced, when the model is fetched
        else:
            raise UserError(f"{self.folder}: has no weights, none of {WEIGHTS}, {INDEX}, {PICKLED}: {self.remedy}")
        for name in shards:
            safetensors_header(self.folder / name, self.remedy)

    def _shards(self) -> list[str]:
        places = self._object(INDEX).get("weight_map")
        if not isinstance(places, dict) or not places or not all(isinstance(name, str) for name in places.values()):
            raise self._wrong(INDEX, "weight_map must name the file of every tensor")
        for name in sorted(set(places.values())):
            if name not in self.names:
                raise self._wrong(INDEX, f"weight_map names {name}, which is not in the folder")
        return sorted(set(places.values()))

    def tokenizer(self, rows: int | None = None) -> None:
        """The tokenizer's files, of a vocabulary that has no more than `rows`, where that is known."""
        there = [name for name in TOKENIZERS if name in self.names]
        if not there:
            raise UserError(f"{self.folder}: has no tokenizer, none of {', '.join(TOKENIZERS)}: {self.remedy}")
        for name in _SETTINGS:
            if name in self.names:
                self._object(name)
        for name in there:
            highest = self._highest(name)
            if rows is not None and highest is not None and highest >= rows:
                raise self._wrong(name, f"its vocabulary goes up to id {highest}, and vocab_size in config.json is "
                                        f"{rows}: it is the tokenizer of another model")  # fmt: skip

    def _highest(self, name: str) -> int | None:
        """The highest id of a vocabulary, added tokens left out: a model need not have rows for those."""
        if name == "vocab.txt":
            words = read_text(self.folder / name, LARGEST_VOCABULARY).splitlines()
            if not words:
                raise self._wrong(name, "is empty")
            return len(words) - 1
        if name.endswith(".json"):
            content = self._object(name, LARGEST_VOCABULARY)
            return self._highest_of(name, content)
        try:
            with open(self.folder / name, "rb") as file:
                if not file.read(1):
                    raise self._wrong(name, "is empty")
        except OSError as error:
            raise UserError(f"{self.folder / name}: {unreadable(error)}; {self.remedy}") from error
        return None

    def _highest_of(self, name: str, content: Mapping[str, Any]) -> int:
        model = content.get("model", {}) if name == "tokenizer.json" else {"vocab": content}
        words, added = model.get("vocab") if isinstance(model, dict) else None, content.get("added_tokens", [])
        if not isinstance(words, dict | list) or not words:
            raise self._wrong(name, "model.vocab is missing: it must hold the words of the vocabulary")
        if isinstance(words, list):
            return len(words) - 1
        extra = {token.get("content") for token in added if isinstance(token, dict)} if isinstance(added, list) else ()
        ids = [number for word, number in words.items() if word not in extra]
        if not all(type(number) is int for number in words.values()):
            raise self._wrong(name, "model.vocab must give every word a number")
        return max(ids, default=-1)

    def _object(self, name: str, largest: int = LARGEST) -> dict[str, Any]:
        found = json_object(self.folder / name, self.remedy, largest)
        if "auto_map" in found:
            raise self._wrong(name, "auto_map asks for code of the model's own, which is never run: remove the key, or "
                                    "use a model that transformers has")  # fmt: skip
        return found

    def _wrong(self, name: str, what: str) -> UserError:
        return UserError(f"{self.folder / name}: {what}; {self.remedy}")


def json_object(file: Path, remedy: str, largest: int = LARGEST) -> dict[str, Any]:
    """The object in a JSON file. Raises `UserError` for a file that is anything else."""
    try:
        found = json.loads(read_text(file, largest))
    except UserError as error:
        raise UserError(f"{error}; {remedy}") from error
    except (ValueError, RecursionError) as error:
        raise UserError(f"{file}: not valid JSON ({error}); {remedy}") from error
    if not isinstance(found, dict):
        raise UserError(f"{file}: is no object {{…}}; {remedy}")
    return found


def safetensors_header(file: Path, remedy: str) -> dict[str, Any]:
    """Type, shape and place of every tensor of a safetensors file. Raises `UserError` unless the file is whole."""
    try:
        size = file.stat().st_size
        with open(file, "rb") as opened:
            length = int.from_bytes(opened.read(8), "little")
            header = opened.read(length) if 0 < length <= LONGEST_HEADER else b""
    except OSError as error:
        raise UserError(f"{file}: {unreadable(error)}; {remedy}") from error
    try:
        found = json.loads(header)
        tensors = {name: tensor for name, tensor in found.items() if name != "__metadata__"}
        end = max(tensor["data_offsets"][1] for tensor in tensors.values())
    except (ValueError, RecursionError, AttributeError, TypeError, LookupError) as error:
        raise UserError(f"{file}: not a safetensors file, or not a whole one ({size} bytes); {remedy}") from error
    if size != 8 + length + end:
        raise UserError(f"{file}: has {size} of {8 + length + end} bytes: it is not whole; {remedy}")
    return tensors


def vocabulary(config: Mapping[str, Any]) -> int | None:
    """Rows of the embedding that a model's configuration gives; None where it leaves them to its library."""
    text = config.get("text_config")
    size = (text if isinstance(text, dict) else config).get("vocab_size")
    return size if type(size) is int else None


def positions(config: Mapping[str, Any]) -> int | None:
    """Tokens of the longest input that a model's configuration has positions for; None where it does not say."""
    size, padding = config.get("max_position_embeddings"), config.get("pad_token_id")
    if type(size) is not int:
        return None
    if config.get("model_type") not in _OFFSET_BY_PADDING:
        return size
    return size - (padding if type(padding) is int else 1) - 1
