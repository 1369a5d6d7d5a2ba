"""Makes PEFT know MixLoRA; importing this module is enough.

PEFT keeps its methods in a closed enumeration, so a method that lives outside it must add a member. This is the only
place that does, and it touches three private attributes of the standard library's `Enum`; it refuses a PEFT series
that the tests do not cover.
"""

import peft
from peft.mapping import PEFT_TYPE_TO_TUNER_MAPPING
from peft.utils import PeftType, register_peft_method

from peftuq.adapters.mixlora.config import NAME, MixLoraConfig
from peftuq.adapters.mixlora.tuner import MixLoraModel
from peftuq.errors import UserError

SERIES = "0.21."  # minor releases of PEFT change what a tuner must provide


def register(version: str = peft.__version__) -> None:
    """Add MixLoRA to PEFT's methods, once. `UserError` for another PEFT series, or one with a MixLoRA of its own."""
    if not version.startswith(SERIES):
        raise UserError(f"peft {version}: MixLoRA is tested with peft {SERIES}* only; install peft~=0.21.2")
    if PEFT_TYPE_TO_TUNER_MAPPING.get(NAME.upper()) is MixLoraModel:
        return
    if NAME.upper() in PeftType.__members__:
        raise UserError(f"peft {version}: already has a method {NAME.upper()}; install peft~=0.21.2")
    member = str.__new__(PeftType, NAME.upper())
    member._name_ = member._value_ = NAME.upper()
    type.__setattr__(PeftType, member._name_, member)
    PeftType._member_names_.append(member._name_)
    PeftType._member_map_[member._name_] = PeftType._value2member_map_[member._value_] = member
    register_peft_method(name=NAME, config_cls=MixLoraConfig, model_cls=MixLoraModel)


register()
