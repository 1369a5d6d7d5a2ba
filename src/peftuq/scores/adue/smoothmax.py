"""The output of an uncertainty head: 1 − SmoothMax of its class probabilities, and the loss that trains it.

A head with a single output gives the probability of an error itself, by the sigmoid.

Zabolotnyi et al., AdUE (arXiv 2505.15443), eq. 3 and 4. Gradients are written out: no autograd graph.
"""

from dataclasses import dataclass

from torch import Tensor

FLOOR = 1e-7  # U is clamped to [FLOOR, 1 − FLOOR]


def uncertainty(logits: Tensor, missing: Tensor, lam: Tensor) -> tuple[Tensor, Tensor]:
    """U = 1 − (1/λ) log Σ exp(λ softmax(logits)), not clamped, and its gradient with respect to the logits.

    Classes are axis −2: `logits` (…, C, B); `missing` broadcasts to it, −inf where an example has no such
    option and 0 elsewhere; `lam` (> 0) broadcasts to (…, 1, B). Returns U (…, 1, B), in [−log(C)/λ, 1), and
    the gradient (…, C, B). Missing options take part neither in the softmax nor in the sum of SmoothMax.

    A single output is no class but the logit of U itself: U = sigmoid(logit), and `missing` and `lam` are not used.

    The most probable class is kept apart from the others: 1 − max p is the others' sum, so neither U nor the
    gradient loses digits where the head is confident (in float32, 1 − p has none left below 1e-7).
    """
    if logits.shape[-2] == 1:
        u = logits.sigmoid()
        return u, u * (1 - u)
    logits = logits + missing
    ratio = (logits - logits.amax(-2, keepdim=True)).exp_()  # p_c / max p
    top = ratio.floor()  # 1 at the most probable class (at each of them if they tie), else 0
    count = top.sum(-2, keepdim=True)
    others = ratio.sub_(top)
    tail = others.sum(-2, keepdim=True)
    best = (count + tail).reciprocal()  # max p
    p = others.mul_(best)  # of the others; 0 at the top
    # e^-60 is 0 beside 1, and further down lie float32's denormals: ten times slower.
    smooth = (lam * (p - best)).clamp_(min=-60).add_(missing).exp_()  # exp(λ (p_c − max p)), 1 at the top
    smooth.addcmul_(smooth, top, value=-1)  # 0 at the top
    rest = smooth.sum(-2, keepdim=True)
    u = (tail + (count - 1)) * best - (rest + (count - 1)).log1p_() / lam
    total = rest.add_(count)  # Σ exp(λ (p_c − max p)); smooth / total = −∂U/∂p_c
    mean = (smooth * p).sum(-2, keepdim=True).addcmul_(count, best).div_(total)  # −Σ p_c ∂U/∂p_c
    d_others = p * (mean - smooth / total)  # ∂U/∂logit_c through the softmax, 0 at the top
    d_top = -d_others.sum(-2, keepdim=True) / count  # of each at the top: all derivatives sum to 0
    return u, d_others.addcmul_(top, d_top)


@dataclass(frozen=True)
class ErrorLoss:
    """BCE(U, e) + α·mean (U − U_SR)² with clamped U, of H heads on N examples: eq. 4 without its L2-SP term.

    `error` (N,): e, 1 where the classifier is wrong, else 0; `response` (N,): U_SR; `missing` (C, N) as in
    `uncertainty`; `alpha`, `lam` (H, 1, 1). `scale`: U is divided by it before it is clamped.
    """

    error: Tensor
    response: Tensor
    missing: Tensor
    alpha: Tensor
    lam: Tensor
    scale: float = 1.0

    def slope(self, logits: Tensor, rows: Tensor) -> Tensor:
        """Gradient of the mean over examples `rows` (B,) in the first n heads' logits (n, C, B)."""
        heads = len(logits)
        raw, gradient = uncertainty(logits, self.missing.index_select(1, rows), self.lam[:heads])
        raw, gradient = raw / self.scale, gradient / self.scale
        u, e = raw.clamp(FLOOR, 1 - FLOOR), self.error[rows]
        d_u = (u - e) / (u * (1 - u)) + 2 * self.alpha[:heads] * (u - self.response[rows])
        d_raw = d_u * (u == raw) / len(rows)  # where U is clamped, no gradient passes
        return gradient * d_raw
