"""Which recipe plays which part: by what stands in it, never by its name."""

import fabricate_uq4ct as made
import pytest

from peftuq.cells import Setting
from peftuq.report.run import Run
from peftuq.report.uq4ct import approaches, recipes


def run_of(predictives: dict[str, list[str]], content: dict[str, dict] = made.RECIPES) -> Run:
    """One task, with the given recipes and their predictives."""
    cells = [
        made.cell(("smollm2", "obqa", name), 0, predictive, ["test"])
        for name, found in predictives.items()
        for predictive in found
    ]
    return Run(made.cells_of(cells, content), made.long_table([]), "nowhere")


def task_of(predictives: dict[str, list[str]], content: dict[str, dict] = made.RECIPES) -> recipes.Task:
    run = run_of(predictives, content)
    (task,) = recipes.tasks(run, run.settings("uq4ct"))
    return task


def names(task: recipes.Task) -> dict[str, str]:
    return {role: setting.recipe for role, setting in task.roles.items()}


def points(task: recipes.Task, factor: str) -> list[tuple[float, str]]:
    return [(point.value, point.setting.recipe) for point in task.sweeps[factor]]


def test_every_recipe_has_its_part_and_its_sweeps():
    task = task_of(made.CHOICE | {name: ["point"] for name in made.SWEPT})
    assert names(task) == {
        "untuned": "r0",
        "lora": "r2",
        "members": "r1",
        "mixlora": "r3",
        "uq4ct": "r4",
        "uq4ct_last": "r6",
        "incremental": "r5",
    }
    betas = [(0, "r3"), (0.2, "b0.2"), (0.5, "b0.5"), (0.8, "b0.8"), (1, "r4")]
    assert points(task, "beta") == [*betas, (1.2, "b1.2"), (1.5, "b1.5"), (1.8, "b1.8"), (2, "b2")]
    assert points(task, "top_k") == [(1, "k1"), (2, "r4"), (3, "k3"), (4, "k4"), (5, "k5")]
    assert points(task, "experts") == [(4, "e4"), (8, "r4"), (16, "e16")]
    assert [(p.value, p.predictive) for p in task.sweeps["members"]] == [
        (1, "point"),
        (3, "ensemble-3"),
        (8, "ensemble-8"),
    ]


def test_the_order_of_the_grid_does_not_matter():
    wanted = made.CHOICE | {name: ["point"] for name in made.SWEPT}
    assert names(task_of(wanted)) == names(task_of(dict(reversed(wanted.items()))))


def test_a_small_mixture_is_what_its_own_sweep_turns_about():
    """Not the paper's E and K: what most recipes share is the centre."""
    mixture = {"experts": 4, "top_k": 1}
    content = {
        "a": made.recipe(4, {"experts": 8}, {}),
        "b": made.recipe(4, mixture, {"weight": 0.5}),
        "c": made.recipe(4, mixture, {}),
        "d": made.recipe(4, mixture),
    }
    task = task_of({name: ["point"] for name in content}, content)
    assert names(task) == {"mixlora": "d", "uq4ct": "c", "recipe a": "a"}  # a differs in two factors
    assert points(task, "beta") == [(0, "d"), (0.5, "b"), (1, "c")]


def test_at_a_tie_the_papers_mixture_is_the_centre():
    content = {
        "a": made.recipe(4, {"top_k": 1}, {}),
        "b": made.recipe(4, {}, {}),
        "c": made.recipe(4, {"top_k": 3}, {}),
    }
    task = task_of({name: ["point"] for name in content}, content)
    assert names(task) == {"uq4ct": "b"}
    assert points(task, "top_k") == [(1, "a"), (2, "b"), (3, "c")]


def test_a_weight_of_zero_is_mixlora_but_never_in_its_place():
    content = {"z": made.recipe(16, {}, {"weight": 0.0}), "m": made.recipe(16, {}), "u": made.recipe(16, {}, {})}
    task = task_of({name: ["point"] for name in content}, content)
    assert names(task) == {"mixlora": "m", "uq4ct": "u"}
    assert points(task, "beta") == [(0, "z"), (0, "m"), (1, "u")]


def test_a_recipe_without_a_part_keeps_its_name():
    content = {"wide": made.recipe(80), "middle": made.recipe(32), "u": made.recipe(16, {"experts_at": ["attention"]})}
    run = run_of({"wide": ["point"], "middle": ["point", "temperature"], "u": ["point"]}, content)
    titles = [method.title for method in approaches.present(run, recipes.tasks(run, run.settings("uq4ct")))]
    assert titles == ["LoRA", "MixLoRA", "middle", "middle, temperature"]


def test_one_recipe_in_two_parts_stands_once_for_each_predictive():
    run = run_of({"r2": ["point", "temperature", "ensemble-3"]})
    found = approaches.present(run, recipes.tasks(run, run.settings("uq4ct")))
    assert [m.title for m in found] == ["LoRA", "LoRA, temperature", "Ensemble of 3"]
    assert [m.paper for m in found] == ["LoRA", "", "Ensemble"]


def test_what_another_suite_trains_on_a_task_is_compared_too():
    cells = made.cells_of([made.cell(("bert", "sst5", name), 0, "point", ["test"]) for name in ("r2", "r4")])
    cells["suites"]["adue"] = {"version": 1, "title": "AdUE", "sections": ["adue"]}
    cells["cells"][0]["suites"] = ["adue"]
    cells["cells"].append({**made.cell(("bert", "sst2", "r2"), 0, "point", ["test"]), "suites": ["adue"]})
    cells["datasets"]["sst2"] = cells["datasets"]["sst5"]
    run = Run(cells, made.long_table([]), "nowhere")
    (task,) = recipes.tasks(run, run.settings("uq4ct"))
    assert task.roles == {"lora": Setting("bert", "sst5", "r2"), "uq4ct": Setting("bert", "sst5", "r4")}


@pytest.mark.parametrize("predictive", ["mc_dropout-10", "new_source", "checkpoint_ensemble-3"])
def test_no_source_of_probabilities_is_dropped(predictive: str):
    run = run_of({"r4": ["point", predictive]})
    found = approaches.present(run, recipes.tasks(run, run.settings("uq4ct")))
    assert [m.title for m in found] == ["UQ4CT", f"UQ4CT, {predictive.replace('_', ' ')}"]
