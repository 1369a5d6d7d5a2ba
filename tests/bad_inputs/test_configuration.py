"""Every kind of mistake at every place of a configuration is one line that names the file and the key."""

import contextlib
import itertools

import pytest
import yaml
from places import FILES, GRID, changed

from peftuq.errors import UserError

# -- values: class × place ------------------------------------------------------------------------------

NO_NUMBER = {"true": True, "text": "much", "digits": "5", "list": [1], "null": None, "mapping": {"a": 1}}
ODD = {"nan": float("nan"), "inf": float("inf"), "negative": -1, "absurd": 10**12, "huge": 10**400, "fraction": 1.5}
NO_TEXT = {"true": True, "number": 3, "list": ["a"], "mapping": {"a": 1}, "null": None}
NO_LIST = {"true": True, "number": 3, "text": "a", "empty": [], "mapping": {"a": 1}, "null": None, "numbers": [1.5]}
NO_MAPPING = {"true": True, "number": 3, "text": "a", "list": ["a"]}
INTEGERS = {
    "config.yaml": ["bootstrap", "threads", "eval_batch_tokens", "limit.train", "limit.test"],
    "suites/small.yaml": ["version", "grids.0.seeds"],
    "recipes/plain.yaml": ["version", "adapter.rank", "optimiser.batch_size", "optimiser.epochs", "max_length",
                           "micro_batch_tokens", "checkpoint_steps"],
    "datasets/words.yaml": ["version"],
}  # fmt: skip
FLOATS = {"recipes/plain.yaml": ["adapter.alpha", "optimiser.lr", "optimiser.weight_decay"]}
TEXTS = {
    "config.yaml": ["results"],
    "suites/small.yaml": ["title"],
    "recipes/plain.yaml": ["spectral_norm"],
    "datasets/words.yaml": ["title", "kind", "row.text", "row.label.column", "sources.local.folder"],
}
LISTS = {
    "config.yaml": ["suites", "sources"],
    "suites/small.yaml": ["sections", "grids", *(f"grids.0.{key}" for key in GRID if key not in ("seeds", "shifts"))],
    "recipes/plain.yaml": ["adapter.targets"],
    "datasets/words.yaml": ["classes", "splits.train"],
}
MAPPINGS = {
    "config.yaml": ["limit", "methods", "methods.adue"],
    "suites/small.yaml": ["grids.0.shifts"],
    "recipes/plain.yaml": ["adapter", "optimiser"],
    "datasets/words.yaml": ["row", "row.label", "splits", "sources", "sources.local"],
}
ALLOWED = {("limit.train", "null"), ("limit.test", "null"), ("grids.0.seeds", "list")}


def values() -> list:
    odd = {name: value for name, value in ODD.items() if name != "fraction"}
    tables = [("integer", INTEGERS, NO_NUMBER | ODD), ("number", FLOATS, NO_NUMBER | odd),
              ("text", TEXTS, NO_TEXT), ("list", LISTS, NO_LIST), ("mapping", MAPPINGS, NO_MAPPING)]  # fmt: skip
    return [
        pytest.param(f"no {kind}", file, path, value, id=f"{file}-{path}-{name}")
        for kind, places, wrong in tables
        for file, paths in places.items()
        for path, (name, value) in itertools.product(paths, wrong.items())
        if (path, name) not in ALLOWED
    ]


def one_line(checkout, file: str, key: str = "") -> str:
    """The message of planning; it names the file, or the place in the configuration, and the key's last word."""
    with pytest.raises(UserError) as raised:
        checkout.plan()
    said = str(raised.value)
    assert "\n" not in said and len(said) < 2100
    assert file.split("/")[-1].removesuffix(".yaml") in said, said
    assert key.split(".")[-1] in said or key.split(".")[0] in said, said
    assert checkout.kept() == ["kept.txt"]
    return said


@pytest.mark.parametrize("kind, file, path, value", values())
def test_a_value_of_another_kind(checkout, count, kind, file, path, value):
    checkout.write(file, changed(FILES[file], path, value))
    one_line(checkout, file, path)
    count(kind)


KEYS = [(file, path) for file, paths in (*INTEGERS.items(), *FLOATS.items(), *TEXTS.items()) for path in paths]


@pytest.mark.parametrize("file, path", KEYS)
def test_a_misspelt_key(checkout, count, file, path):
    parent, _, name = path.rpartition(".")
    content = changed(FILES[file], f"{parent}.{name}x" if parent else f"{name}x", 1)
    checkout.write(file, content)
    assert f"{name}x" in one_line(checkout, file)
    count("misspelt key")


# -- text of the files ----------------------------------------------------------------------------------

MANGLED = {
    "empty": lambda text: b"",
    "binary": lambda text: bytes(range(256)),
    "utf-16": lambda text: text.encode("utf-16"),
    "latin-1": lambda text: text.encode() + b"# \xe9",
    "lone surrogate": lambda text: text.encode() + b"# \xed\xa0\x80",
    "nul": lambda text: text.encode() + b"\0",
    "tab": lambda text: text.encode() + b"\n\tx: 1\n",
    "truncated": lambda text: text.encode()[:20] + b"\n  - [",
    "list": lambda text: b"- 1\n",
    "scalar": lambda text: b"text\n",
    "one long line": lambda text: b"x: " + b"y" * 5_000_000,
    "duplicate key": lambda text: text.encode() + text.encode().split(b":")[0] + b": 1\n",
    "unclosed": lambda text: text.encode() + b"x: [1\n",
    "object": lambda text: text.encode() + b"x: !!python/object:os.system {}\n",
    "itself": lambda text: text.encode() + b"x: &a [*a]\n",
    "laughs": lambda text: b"a: &a [1,1,1,1,1,1,1,1,1,1]\n" + b"".join(
        b"%c: &%c [%s]\n" % (n, n, b",".join([b"*%c" % (n - 1)] * 10)) for n in range(ord("b"), ord("h"))),
    "deep": lambda text: b"x: " + b"[" * 500 + b"]" * 500,
    "two documents": lambda text: text.encode() + b"---\nx: 1\n",
    "number of thousands of digits": lambda text: text.encode() + b"x: " + b"9" * 5000 + b"\n",
    "clock": lambda text: text.encode() + b"x: 12:30\n",
    "octal": lambda text: text.encode() + b"x: 010\n",
    "number as a key": lambda text: text.encode() + b"1: 2\n",
}  # fmt: skip


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", MANGLED)
def test_a_mangled_file(checkout, count, file, kind):
    path = checkout.root / file
    path.write_bytes(MANGLED[kind](path.read_text()))
    one_line(checkout, file)
    count("mangled configuration file")


@pytest.mark.parametrize("file", FILES)
@pytest.mark.parametrize("kind", ["gone", "a folder", "unreadable"])
def test_a_file_that_cannot_be_read(checkout, count, file, kind, monkeypatch):
    path = checkout.root / file
    if kind == "unreadable":
        # Whoever runs the tests may be allowed to read everything.
        def refuse(name, *arguments, **options):
            if str(name) == str(path):
                raise PermissionError(13, "Permission denied", str(name))
            return open(name, *arguments, **options)

        monkeypatch.setattr("peftuq.files.open", refuse, raising=False)
    else:
        path.unlink()
        with contextlib.suppress(FileExistsError):
            if kind == "a folder":
                path.mkdir()
    try:
        one_line(checkout, file)
    finally:
        if path.is_dir():
            path.rmdir()
    count("unreadable configuration file")


# -- what fits together only whole ----------------------------------------------------------------------


def grid(**changes):
    return "suites/small.yaml", changed(FILES["suites/small.yaml"], "grids", [{**GRID, **changes}])


def recipe(**changes):
    return "recipes/plain.yaml", {**FILES["recipes/plain.yaml"], **changes}


def adapter(**changes):
    return recipe(adapter={**FILES["recipes/plain.yaml"]["adapter"], **changes})


def config(**changes):
    return "config.yaml", {**FILES["config.yaml"], **changes}


def words(path, value):
    return "datasets/words.yaml", changed(FILES["datasets/words.yaml"], path, value)


COLLIDING = {
    **{f"{part} as a shift": grid(shifts={"words": [part]}) for part in ("train", "valid", "test")},
    **{f"{part} as a dataset": grid(datasets=[part], shifts={}) for part in ("train", "valid", "test")},
    **{f"{key} twice": grid(**{key: [*GRID[key], GRID[key][0]]}) for key in GRID if key not in ("seeds", "shifts")},
    "seed twice": grid(seeds=[0, 1, 0]),
    "shift twice": grid(shifts={"words": ["tweets2", "tweets2"]}),
    "shift is its own dataset": grid(shifts={"words": ["words"]}),
    "suite twice": config(suites=["small", "small"]),
    "source twice": config(sources=["local", "local"]),
    "class twice": words("classes", ["a", "a"]),
    "target twice": adapter(targets=["q", "q"]),
}
UNFIT = {
    "role that the model lacks": adapter(targets=["q", "gate"]),
    "more layers than there are": adapter(top_layers=7),
    "experts without a target in their place": adapter(mixture={"experts_at": ["ffn"]}),
    "experts nowhere": adapter(mixture={"experts_at": []}),
    "experts somewhere twice": adapter(mixture={"experts_at": ["attention", "attention"]}),
    "experts in no place": adapter(mixture={"experts_at": ["head"]}),
    "more active experts than there are": adapter(mixture={"experts": 2, "top_k": 3}),
    "two kinds": adapter(mixture={}, other={}),
    "nothing trained on a classification": recipe(adapter=None, optimiser=None),
    "nothing trained, but an optimiser": recipe(adapter=None),
    "an adapter without an optimiser": recipe(optimiser=None),
    "more gpus than examples in a batch": recipe(gpus=9),
    "a prompt that is not there": recipe(prompt="none"),
    "epochs that are not recorded": grid(predictives=["point", "checkpoint_ensemble-2"]),
    "no dropout to sample": grid(predictives=["point", "mc_dropout"]),
    "a size where none belongs": grid(predictives=["point", "temperature-2"]),
    "a predictive of no form": grid(predictives=["point", "Ensemble 5"]),
    "an absurd ensemble": grid(predictives=["point", "ensemble-100000"]),
    "an absurd number of seeds": grid(seeds=100_000),
    "a score that applies to nothing": grid(scores=["softmax", "flu"]),
    "an unknown score": grid(scores=["sofmax"]),
    "an unknown model": grid(models=["minilmm"]),
    "a file of the wrong case": grid(models=["MiniLM"]),
    "a shift of other classes": grid(shifts={"words": ["tweets5"]}),
    "an encoder asked to choose": grid(datasets=["words_choice"], shifts={}),
    "trained on what is for evaluation": grid(datasets=["tweets2"], shifts={}),
    "an extended file that is not there": recipe(extends="nothing"),
    "a file that extends itself": recipe(extends="plain"),
    "a file that extends a list": recipe(extends=["lora"]),
    "a sweep of one name": recipe(sweep={"key": "optimiser.lr", "values": [0.1234567, 0.1234568]}),
    "a sweep of one value": recipe(sweep={"key": "optimiser.lr", "values": [0.01, 0.01]}),
    "a sweep over nothing": recipe(sweep={"key": "optimiser.rate", "values": [0.01]}),
    "a sweep without values": recipe(sweep={"key": "optimiser.lr", "values": []}),
    "a sweep of texts": recipe(sweep={"key": "optimiser.lr", "values": ["a"]}),
}
PATHS = {
    name: config(results=value)
    for name, value in {
        "empty": "", "a space": " ", "root": "/", "root, spelt out": "//", "root, reached": "/tmp/..", "home": "~",
        "below home": "~/results", "a variable": "$HOME/results", "control character": "a\x07",
        "of the reports": "reports",
        "of the reports, spelt otherwise": "./reports/", "of the downloads": "downloads/../downloads",
        "of config": "config",
        "below config": "config/results", "the checkout": ".", "above the checkout": "..",
        "a file": "config/config.yaml",
        "trailing space": "results ",
    }.items()
}  # fmt: skip
ASKED = {
    "a parameter of no such name": config(methods={"adue": {"learning_rate": 1}}),
    "a method of no such name": config(methods={"adeu": {}}),
    "a choice that is none": config(methods={"mahalanobis": {"inverse": "foo"}}),
    "trained on a part that is none": config(methods={"adue": {"train_on": "testing"}}),
    "a number that is none": config(methods={"adue": {"lambda": float("nan")}}),
    "an infinite number in a list": config(methods={"adue": {"lr": [float("inf")]}}),
    "an absurd number": config(methods={"adue": {"epochs": [10**9]}}),
    "a truth for a number": config(methods={"adue": {"batch_size": True}}),
    "an empty list": config(methods={"adue": {"lr": []}}),
    "no list": config(methods={"adue": {"lr": 0.1}}),
    "below the bound": config(methods={"rde": {"components": 0}}),
    "trim to nothing": config(trim={"models": ["minilm"]}),
    "trim an unknown model": config(trim={"models": ["none"]}),
    "a limit of an unknown set": config(limits={"none": {"train": 1}}),
    "a local folder that is not there": config(local_root="nowhere")
    if False
    else words("sources.local.folder", "none"),
    "a local file that is not there": words("sources.local.files", {"train": "none.csv"}),
    "a text without a column": words("row.text", "text"),
    "a column without its end": words("row.text", "{text"),
    "a column that looks into python": words("row.text", "{text!r}"),
    "a column with a format": words("row.text", "{text:>10}"),
    "a column without a name": words("row.text", "{}"),
    "edges that do not ascend": words("row", {"text": "{text}", "rating": {"sum": ["label"], "edges": [float("nan")]}}),
    "more values than classes": words("row.label", {"column": "label", "values": ["a", "b", "c"]}),
    "one split for two parts": words("splits", {"train": ["train"], "valid": ["train"], "test": ["test"]}),
    "one file for two splits": words("sources.local.files", {"train": "train.jsonl", "test": "train.jsonl"}),
    "a share of more than all": words("splits.valid", {"share": 1.5}),
    "a header without tsv": words(
        "sources.local", {"folder": "words", "files": {"train": "train.jsonl"}, "header": ["a"]}
    ),
}


def whole() -> list:
    tables = {
        "names that collide": COLLIDING,
        "parts that do not fit": UNFIT,
        "folders": PATHS,
        "methods and rows": ASKED,
    }
    return [
        pytest.param(kind, *case, id=f"{kind}-{name}") for kind, cases in tables.items() for name, case in cases.items()
    ]


@pytest.mark.parametrize("kind, file, content", whole())
def test_what_fits_together_only_whole(checkout, count, kind, file, content):
    checkout.write(file, content)
    said = one_line(checkout, "")
    assert ".yaml" in said or "sources" in said, said
    count(kind)


def test_the_configuration_itself_is_valid(checkout):
    assert len(checkout.plan().study.cells) == 4


def test_numbers_are_read_as_they_look(checkout):
    path = checkout.root / "recipes/plain.yaml"
    path.write_text(path.read_text().replace("lr: 0.01", "lr: 1e-2"))
    assert checkout.plan().study.recipes.get("plain", "", "").optimiser.lr == 0.01
    assert yaml.safe_load("1e-2") == "1e-2"  # what a plain reader makes of it
