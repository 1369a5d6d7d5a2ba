"""The read-out of a mixture: the answer, with the probabilities of its routers."""

from torch import Tensor, nn
from transformers import PreTrainedModel

from peftuq.adapters.mixlora.routing_statistics import record
from peftuq.config.recipe import Balance
from peftuq.models.readout import Output, ReadOut


class MixtureReadOut(ReadOut):
    """A `ReadOut` whose outputs have `flu`, and `balance` where that loss is configured."""

    reads_all_positions = True  # routers are judged by every token

    def __init__(
        self, model: nn.Module, hf: PreTrainedModel, answer_tokens: list[int] | None = None,
        answer: str = "vocabulary", balance: Balance | None = None,
    ):  # fmt: skip
        super().__init__(model, hf, answer_tokens, answer)
        self.balance = balance

    def forward(self, input_ids: Tensor, lengths: Tensor, n_options: Tensor | None = None) -> Output:
        with record(self) as routing:
            output = super().forward(input_ids, lengths, n_options)
        balance = None
        if self.training and self.balance is not None:
            how = self.balance
            balance = routing.balance(lengths, how.coefficient, how.count, how.over)
        return output._replace(flu=routing.flu(lengths), balance=balance)
