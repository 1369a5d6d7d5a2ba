"""Configuration of a MixLoRA adapter, as PEFT stores it in `adapter_config.json`."""

from dataclasses import dataclass

from peft import PeftConfig
from peft.utils import PeftType

NAME = "mixlora"  # the method's name in PEFT; its type there is the same in capitals


@dataclass
class MixLoraConfig(PeftConfig):
    """A mixture of LoRA experts (MixLoRA, arXiv 2404.15159; UQ4CT eq. 3-5).

    The three patterns are regular expressions for whole module names. `ffn_modules`: gated FFNs, each with
    `num_experts` experts that correct all three of its layers and one router. `expert_modules`: linear layers, each
    with its own experts and router. `target_modules`: linear layers with one plain LoRA. All corrections have rank
    `r`, scale `lora_alpha / r` and dropout `lora_dropout` on their input. A router keeps `top_k` experts a token and
    starts from N(0, `router_std`²). Raises `ValueError` for sizes that make no mixture.
    """

    r: int = 16
    lora_alpha: float = 32
    lora_dropout: float = 0.05
    num_experts: int = 8
    top_k: int = 2
    router_std: float = 0.02
    ffn_modules: str | None = None
    expert_modules: str | None = None
    target_modules: str | None = None
    modules_to_save: list[str] | None = None

    def __post_init__(self) -> None:
        super().__post_init__()
        self.peft_type = PeftType(NAME.upper())
        if not 1 <= self.top_k <= self.num_experts:
            raise ValueError(f"top_k = {self.top_k}: must lie between 1 and num_experts = {self.num_experts}")
        if self.r < 1:
            raise ValueError(f"r = {self.r}: must be at least 1")

    @property
    def scale(self) -> float:
        return self.lora_alpha / self.r
