"""Names of methods and metrics: in our columns, in print, and in the AdUE paper's tables."""

from typing import NamedTuple


class Method(NamedTuple):
    """A score of a predictive distribution. `paper` is its name in the paper's tables ("": it is not there)."""

    variant: str
    title: str
    paper: str = ""
    predictive: str = "point"

    @property
    def key(self) -> str:
        """The name in a run's comparisons and ranks."""
        return f"{self.predictive}/{self.variant}"

    @property
    def look(self) -> str:
        """The name of its colour and line in figures."""
        return self.variant if self.predictive == "point" else self.key


class Format(NamedTuple):
    """The printed form of a metric: its heading, the factor to its unit, and decimals."""

    label: str
    scale: float = 1.0
    decimals: int = 3


SR = Method("sr", "SR", "SR")
ENTROPY = Method("entropy", "Entropy")
MARGIN = Method("margin", "Margin")
MD = Method("md", "MD", "MD")
MD_L2 = Method("md_l2", "MD (L2)", "MD L2 norm")
RMD = Method("rmd", "RMD", "RMD")
RMD_L2 = Method("rmd_l2", "RMD (L2)", "RMD L2 norm")
RDE = Method("rde", "RDE", "RDE")
RDE_L2 = Method("rde_l2", "RDE (L2)", "RDE L2 norm")
ADUE = Method("adue", "AdUE", "AdUE (Ours)")
SR_TEMPERATURE = Method("sr", "SR (temperature)", predictive="temperature")
ENTROPY_TEMPERATURE = Method("entropy", "Entropy (temperature)", predictive="temperature")
MARGIN_TEMPERATURE = Method("margin", "Margin (temperature)", predictive="temperature")

HEADLINE = [RMD_L2, MD_L2, RDE_L2, SR, ADUE]  # the paper's Table 1
EVERY = [RMD, RMD_L2, MD, MD_L2, RDE, RDE_L2, SR, ADUE]  # Tables 7 and 8
SOFTMAX = [SR, SR_TEMPERATURE, ENTROPY, ENTROPY_TEMPERATURE, MARGIN, MARGIN_TEMPERATURE, ADUE]
ABLATIONS = [  # Tables 2, 3 and 4
    ADUE,
    Method("adue_bce", "Loss: BCE", "Loss: BCE"),
    Method("adue_bce_l2sp", "Loss: BCE + L2-SP", "Loss: BCE+L2SP"),
    Method("adue_bce_reg", "Loss: BCE + reg", "Loss: BCE+reg"),
    Method("adue_rand_cls", "Full loss: random head", "Full loss: rand cls"),
    Method("adue_random_linear", "Full loss: random linear", "Full loss: random linear"),
]
LAMBDAS = [
    Method("adue" if value == 100 else f"adue_lambda_{value}", f"λ = {value}")
    for value in (10, 50, 100, 200, 500, 1000)
]

INFORMATION = {  # scores of several members
    "expected_entropy": "Expected entropy",
    "mutual_information": "MI",
    "vote_disagreement": "Vote disagreement",
}
FLU = {"flu_mean": "FLU, mean", "flu_last": "FLU, last"}
NAMED = {m.key for m in [*EVERY, *SOFTMAX, *ABLATIONS, *LAMBDAS]}  # each in a table of the AdUE section

NAMED_VARIANTS = {m.variant for m in [*EVERY, *SOFTMAX, *ABLATIONS, *LAMBDAS]} | INFORMATION.keys() | FLU.keys()

_TITLES = {m.variant: f"AdUE, {m.title}" for m in [*LAMBDAS, *ABLATIONS]} | INFORMATION | FLU
_TITLES |= {m.variant: m.title for m in [*EVERY, ENTROPY, MARGIN]}
_TITLES |= {  # of no paper's tables
    "energy": "Energy",
    "knn": "kNN",
    "knn_l2": "kNN (L2)",
    "density_softmax": "Density softmax",
    "linear_probe": "Linear probe",
    "mlp_probe": "MLP probe",
}

FORMATS = {
    "auroc": Format("AUROC", 100, 1),
    "accuracy": Format("Accuracy, %", 100, 1),
    "accuracy_50": Format("Acc. at 50 %", 100, 1),
    "accuracy_80": Format("Acc. at 80 %", 100, 1),
    "accuracy_90": Format("Acc. at 90 %", 100, 1),
    "risk_80": Format("Risk at 80 %", 100, 1),
    "aurc": Format("AURC ×100", 100, 2),
    "eaurc": Format("E-AURC ×100", 100, 2),
    "augrc": Format("AUGRC ×100", 100, 2),
    "prr": Format("PRR"),
    "nll": Format("NLL"),
    "brier": Format("Brier"),
    "ece_15": Format("ECE-15, %", 100, 1),
    "ece_10": Format("ECE-10, %", 100, 1),
    "adaptive_ece": Format("Adaptive ECE, %", 100, 1),
    "classwise_ece": Format("Classwise ECE, %", 100, 1),
    "error_nll": Format("NLL"),
    "error_brier": Format("Brier"),
    "error_ece_15": Format("ECE-15, %", 100, 1),
    "error_ece_10": Format("ECE-10, %", 100, 1),
    "ood_auroc": Format("OOD AUROC", 100, 1),
    "ood_fpr95": Format("FPR95, %", 100, 1),
    "lac_coverage": Format("Coverage, %", 100, 1),
    "lac_set_size": Format("Set size", 1, 2),
    "aps_coverage": Format("Coverage, %", 100, 1),
    "aps_set_size": Format("Set size", 1, 2),
    "aps_inclusive_coverage": Format("Coverage, %", 100, 1),
    "aps_inclusive_set_size": Format("Set size", 1, 2),
    "raps_coverage": Format("Coverage, %", 100, 1),
    "raps_set_size": Format("Set size", 1, 2),
    "uacc_lac": Format("UAcc, LAC, %", 100, 1),
    "uacc_aps": Format("UAcc, APS, %", 100, 1),
    "risk_control_answered": Format("Answered, %", 100, 1),
    "risk_control_error": Format("Wrong among answered, %", 100, 1),
}


def parse(name: str) -> tuple[str, str]:
    """The predictive and the variant of "predictive/variant"."""
    predictive, _, variant = name.partition("/")
    return predictive, variant


def title(name: str) -> str:
    """The printed name of "predictive/variant", the names of `compare.pairwise`."""
    predictive, variant = parse(name)
    printed = _TITLES.get(variant, variant.replace("_", " "))
    return printed if predictive == "point" else f"{printed} ({predictive})"
