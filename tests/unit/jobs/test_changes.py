"""Changes of configuration and code in words."""

from hypothesis import given
from hypothesis import strategies as st

from peftuq.jobs import changes

LEAF = st.none() | st.booleans() | st.integers(-9, 9) | st.text(max_size=3)
KEY = st.sampled_from(["a", "b", "c"])
VALUE = st.recursive(LEAF, lambda x: st.lists(x, max_size=3) | st.dictionaries(KEY, x, max_size=3), max_leaves=8)


def test_each_leaf_that_differs_is_named_by_its_dotted_path():
    old = {"recipe": {"optimiser": {"lr": 0.1, "epochs": 2}, "loss": {"answer": "options"}}, "seed": 0}
    new = {"recipe": {"optimiser": {"lr": 0.2, "epochs": 2}, "prior": None}, "seed": 0}
    assert list(changes.of_values(old, new)) == [
        'recipe.loss: {"answer": "options"} is gone',
        "recipe.optimiser.lr: 0.1 → 0.2",
        "recipe.prior: null is new",
    ]


def test_lists_are_compared_by_place_if_equally_long_and_else_by_member():
    assert list(changes.of_values({"alpha": [0, 0.1]}, {"alpha": [0, 0.2]})) == ["alpha.1: 0.1 → 0.2"]
    assert list(changes.of_values({"evals": ["test", "sst2"]}, {"evals": ["test", "cola", "nyt2"]})) == [
        'evals: "sst2" is gone',
        'evals: "cola" is new',
        'evals: "nyt2" is new',
    ]
    assert list(changes.of_values({"x": [1]}, {"x": [1, 1]})) == ["x: [1] → [1, 1]"]


def test_true_is_not_one_and_long_values_are_cut():
    assert list(changes.of_values({"x": 1}, {"x": True})) == ["x: 1 → true"]
    (line,) = changes.of_values({"prompt": "a" * 500}, {"prompt": "b"})
    assert len(line) < 100 and line.endswith('… → "b"')


@given(VALUE, VALUE)
def test_there_is_a_line_exactly_when_something_differs(old, new):
    same = repr(_sorted(old)) == repr(_sorted(new))
    assert (list(changes.of_values({"x": old}, {"x": new})) == []) == same


def _sorted(value):
    if isinstance(value, dict):
        return {key: _sorted(value[key]) for key in sorted(value)}
    return [_sorted(item) for item in value] if isinstance(value, list) else value


def test_definitions_that_changed_came_or_went_are_named_with_their_module():
    old = {"peftuq.files": {"function atomic": "1"}, "peftuq.scores.rde": {"function fit": "1", "constant METHOD": "2"}}
    new = {"peftuq.scores.rde": {"function fit": "3", "class Rde": "4", "constant METHOD": "2"}, "train.py": {}}
    assert list(changes.of_code(old, new)) == [
        "peftuq.files is no longer used",
        "class Rde of peftuq.scores.rde is new",
        "function fit of peftuq.scores.rde changed",
        "train.py is now used",
    ]


def test_a_changed_order_is_named():
    same = {"train.py": {"function f": "1", "function g": "2"}}
    assert list(changes.of_code(same, same)) == ["the order of its definitions changed"]
