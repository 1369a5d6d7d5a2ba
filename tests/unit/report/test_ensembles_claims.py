"""The paper's findings as rules: each verdict on traces made to deserve it, at the thresholds' edges."""

import json

import numpy as np
import pytest
from scipy import stats

from peftuq.report.ensembles import claims
from peftuq.report.ensembles.claims import ELSEWHERE, FAILS, HOLDS, UNKNOWN
from peftuq.report.ensembles.traces import Trace


class Arrays(dict):
    """In the place of the examples' file."""

    def __init__(self, arrays: dict, members: int, options: dict[str, int]):
        super().__init__(arrays)
        self.metadata = {"members": str(members), "options": json.dumps(options)}


def curves(epochs=(1, 2, 3), sizes=(1, 5, 10), parts=("valid", "test"), nll=lambda part, epoch, size, k: 1.0, **others):
    """Rows of every disjoint ensemble of each size; `nll` and the others are functions of (part, epoch, size, k)."""
    of = {"nll": nll, "entropy": lambda *_: 0.5, "mutual_information": lambda *_: 0.1, **others}
    return [
        {"part": part, "epoch": epoch, "size": size, "first": k * size}
        | {metric: f(part, epoch, size, k) for metric, f in of.items()}
        for part in parts
        for epoch in epochs
        for size in sizes
        for k in range(max(sizes) // size)
    ]


def a_trace(rows, arrays=None, dataset="csqa", members=5, options=4) -> Trace:
    parts = dict.fromkeys(row["part"] for row in rows)
    return Trace(dataset, rows, Arrays(arrays or {}, members, dict.fromkeys(parts, options)))


# -- (1) ------------------------------------------------------------------------------------------------------


def of_size(**changed) -> claims.Verdict:
    (verdict,) = claims.size_is_enough(a_trace(curves(**changed)))
    return verdict


@pytest.mark.parametrize(("gap", "answer"), [(0.049, HOLDS), (-0.049, HOLDS), (0.051, FAILS)])
def test_a_small_ensemble_may_lose_a_twentieth_of_the_nll(gap: float, answer: str):
    # Only one of the two disjoint ensembles of five, after one epoch: the worst decides, not the mean.
    nll = lambda part, epoch, size, k: 2.0 * (1 + gap * ((part, epoch, size, k) == ("test", 2, 5, 1)))  # noqa: E731
    verdict = of_size(nll=nll)
    assert verdict.answer == answer
    assert f"M = 5 against 10; largest gaps: NLL {100 * abs(gap):.1f} % (csqa, epoch 2)" in verdict.measured


@pytest.mark.parametrize("metric", ["entropy", "mutual_information"])
@pytest.mark.parametrize(("share", "answer"), [(0.019, HOLDS), (0.021, FAILS)])
def test_uncertainty_may_differ_by_a_fiftieth_of_log_c(metric: str, share: float, answer: str):
    assert of_size(**{metric: lambda p, e, size, k: 0.3 + share * np.log(4) * (size == 10)}).answer == answer


def test_single_members_and_validation_do_not_count():
    nll = lambda part, epoch, size, k: 9.0 if size == 1 or (part == "valid" and size == 5) else 1.0  # noqa: E731
    assert of_size(nll=nll).answer == HOLDS


def test_other_sizes_stand_in_for_five_and_one_size_says_nothing():
    assert of_size(sizes=(1, 2, 4)).measured.startswith("M = 2 against 4;")
    assert of_size(sizes=(1, 5, 10, 20)).measured.startswith("M = 5 against 20;")
    assert of_size(sizes=(1, 5)) == ("csqa", UNKNOWN, "sizes 1, 5: needs two ensembles of different size above 1")


# -- (2) ------------------------------------------------------------------------------------------------------


def information(wrong: list[float], right: list[float], spread=0.05, n=(40, 80), valid=(1.0, 0.9, 1.1, 1.2)):
    """A trace in which wrong and right answers have these mean informations after each epoch, exactly."""
    arrays = {}
    for epoch, means in enumerate(zip(wrong, right, strict=True), start=1):
        values = [mean + spread * np.linspace(-1, 1, count) for mean, count in zip(means, n, strict=True)]
        arrays[f"{epoch}/test/mutual_information"] = np.concatenate(values)
        arrays[f"{epoch}/test/entropy"] = np.ones(sum(n))
        arrays[f"{epoch}/test/correct"] = np.repeat([0, 1], n).astype(np.uint8)
    rows = curves(range(1, len(wrong) + 1), nll=lambda part, epoch, *_: valid[epoch - 1])
    return a_trace(rows, arrays)


def of_wrong(*args, **more) -> claims.Verdict:
    (verdict,) = claims.wrong_answers_stay_uncertain(information(*args, **more))
    return verdict


def test_wrong_answers_that_stay_uncertain_past_the_best_epoch():
    verdict = of_wrong([0.1, 0.4, 0.35, 0.3], [0.1, 0.1, 0.1, 0.1])
    assert (verdict.on, verdict.answer) == ("csqa", HOLDS)
    assert "0.300 / 0.100 after epoch 4; wrong at the best (epoch 2): 0.400" in verdict.measured
    assert "least difference past it 0.200 [" in verdict.measured


def test_before_the_best_epoch_nothing_counts():
    assert of_wrong([0.0, 0.0, 0.35, 0.3], [0.5, 0.1, 0.1, 0.1]).answer == HOLDS


@pytest.mark.parametrize(("last", "answer"), [(0.25, HOLDS), (0.2, UNKNOWN), (0.15, FAILS)])
def test_half_of_it_must_be_kept(last: float, answer: str):
    assert of_wrong([0.4, 0.4, 0.4, last], [0.01] * 4).answer == answer


def test_one_epoch_with_less_information_than_the_right_answers_is_enough_to_fail():
    assert of_wrong([0.4, 0.4, 0.1, 0.4], [0.2] * 4).answer == FAILS


def test_a_difference_within_the_luck_of_the_examples_is_not_said():
    assert of_wrong([0.4, 0.4, 0.4, 0.4], [0.39] * 4, spread=0.3).answer == UNKNOWN


def test_few_wrong_answers_are_not_said():
    verdict = of_wrong([0.4] * 4, [0.1] * 4, n=(9, 80))
    assert (verdict.answer, verdict.measured) == (UNKNOWN, "only 9 wrong or right answers after some epoch")
    assert of_wrong([0.4] * 4, [0.1] * 4, n=(10, 80)).answer == HOLDS


def test_without_overfitting_it_cannot_be_said():
    verdict = of_wrong([0.4] * 4, [0.1] * 4, valid=(1.0, 0.9, 0.8, 0.7))
    assert verdict.answer == UNKNOWN
    assert "lowest after the last epoch recorded, 4" in verdict.measured


def test_the_interval_is_welchs_for_many_examples():
    rng = np.random.default_rng(0)
    a, b = rng.normal(1, 2, size=3000), rng.normal(0.5, 1, size=2000)
    found = claims.difference(a, b)
    welch = stats.ttest_ind(a, b, equal_var=False).confidence_interval(0.95)
    assert found == pytest.approx((a.mean() - b.mean(), welch.low, welch.high), rel=1e-3)


# -- (3) and (4) ------------------------------------------------------------------------------------------------


def entropies(means: dict[str, list[float]], accuracy: dict[str, float], dataset="csqa", spread=0.1, n=200) -> Trace:
    arrays = {}
    for part, by_epoch in means.items():
        for epoch, mean in enumerate(by_epoch, start=1):
            arrays[f"{epoch}/{part}/entropy"] = mean + spread * np.linspace(-1, 1, n)
            arrays[f"{epoch}/{part}/mutual_information"] = np.zeros(n)
            arrays[f"{epoch}/{part}/correct"] = (np.arange(n) < accuracy[part] * n).astype(np.uint8)
    epochs = range(1, len(next(iter(means.values()))) + 1)
    return a_trace(curves(epochs, parts=("valid", *means)), arrays, dataset)


TEST = {"test": [0.5, 0.4, 0.3]}
RIGHT = {"test": 0.8, "mmlu_stem": 0.4, "mmlu_social": 0.6}
STEM, SOCIAL = {"mmlu_stem": [1.2, 1.1, 1.1]}, {"mmlu_social": [1.1, 0.8, 0.6]}


def of_stem(stem=STEM, social=SOCIAL, **more) -> claims.Verdict:
    (verdict,) = claims.stem_stays_uncertain(entropies({**TEST, **stem, **social}, RIGHT, **more))
    return verdict


def test_stem_that_stays_uncertain_while_social_science_does_not():
    verdict = of_stem()
    assert (verdict.on, verdict.answer) == ("mmlu_stem, mmlu_social", HOLDS)
    assert "from epoch 1 to 3: mmlu_stem 1.200 → 1.100; mmlu_social 1.100 → 0.600" in verdict.measured
    assert "mmlu_social loses 0.400 [" in verdict.measured


@pytest.mark.parametrize("stem", [[1.2, 0.7, 1.1], [1.9, 1.3, 1.2]], ids=["below once", "loses more"])
def test_stem_that_does_not_stay_uncertain(stem: list[float]):
    assert of_stem({"mmlu_stem": stem}).answer == FAILS


def test_one_epoch_shows_no_course():
    trace = entropies({"test": [0.5], "mmlu_stem": [1.2], "mmlu_social": [1.0]}, RIGHT)
    (verdict,) = claims.stem_stays_uncertain(trace)
    assert verdict.answer == UNKNOWN
    assert verdict.measured == "a single epoch shows no course; mean entropy: mmlu_stem 1.200, mmlu_social 1.000"


def test_other_cells_are_not_asked_for_stem():
    (other,) = claims.stem_stays_uncertain(entropies({**TEST, **STEM, **SOCIAL}, RIGHT, "obqa"))
    (half,) = claims.stem_stays_uncertain(entropies({**TEST, **STEM}, RIGHT))
    assert (other.answer, half.answer) == (ELSEWHERE, ELSEWHERE)


def test_the_hardest_shift_is_set_against_the_easiest():
    (verdict,) = claims.hardest_stays_uncertain(entropies({**TEST, **STEM, **SOCIAL}, RIGHT, "obqa"))
    assert (verdict.on, verdict.answer) == ("mmlu_stem, mmlu_social", HOLDS)
    turned = {**RIGHT, "mmlu_stem": 0.6, "mmlu_social": 0.4}
    (verdict,) = claims.hardest_stays_uncertain(entropies({**TEST, **STEM, **SOCIAL}, turned, "obqa"))
    assert (verdict.on, verdict.answer) == ("mmlu_social, mmlu_stem", FAILS)


def test_a_single_shift_is_set_against_the_test_split():
    (verdict,) = claims.hardest_stays_uncertain(entropies({**TEST, **STEM}, RIGHT, "obqa"))
    assert (verdict.on, verdict.answer) == ("mmlu_stem, obqa", HOLDS)


def test_equally_hard_shifts_and_no_shift_are_said():
    same = dict.fromkeys(RIGHT, 0.5)
    (verdict,) = claims.hardest_stays_uncertain(entropies({**TEST, **STEM, **SOCIAL}, same))
    assert (verdict.answer, verdict.measured) == (UNKNOWN, "all shift sets are equally hard")
    assert claims.hardest_stays_uncertain(entropies(TEST, RIGHT))[0].answer == ELSEWHERE
