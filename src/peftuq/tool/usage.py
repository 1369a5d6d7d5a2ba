"""A bundle's method as a few lines of plain Python, for whoever runs it in production: its plug-ins' own source."""

import inspect
import textwrap
from types import ModuleType

from peftuq import plugins, representation
from peftuq.artifacts import softmax
from peftuq.jobs.identity import module
from peftuq.tool.bundle import Content
from peftuq.tool.candidates import POINT, methods

_HEADER = """\
import numpy as np
from collections.abc import Mapping
from safetensors.numpy import load_file
from scipy.special import ndtr
"""


def source(content: Content, folder: str) -> str:
    """Python that defines `uncertainty(logits, h)`, P(wrong) (N,) of an adapter's logits (N, C) and h (N, d)."""
    known = methods()
    score = plugins.load(module(known.scores[content.score]), ModuleType)
    functions = []
    if "stored_representation" in inspect.getsource(score.apply):
        functions.append(inspect.getsource(representation.stored_representation))
    functions.append(inspect.getsource(score.apply).replace("def apply(", "def score("))
    if content.predictive == POINT:
        functions.append(inspect.getsource(softmax))
        probs = "softmax(logits)"
    else:
        predictive = plugins.load(module(known.predictives[content.predictive]), ModuleType)
        functions.append(inspect.getsource(predictive.apply).replace("def apply(", "def probabilities("))
        probs = 'probabilities(state["predictive"], logits)'
    final = f'''\
arrays = load_file("{folder}/arrays.safetensors")
state = {{of: {{k.split("/")[1]: v for k, v in arrays.items() if k.startswith(of)}} for of in ("score", "predictive")}}


def uncertainty(logits, h):
    probs = {probs}
    values = score("{content.variant}", state["score"], probs, logits, h)
    return probs, values, np.interp(values, arrays["p_wrong/x"], arrays["p_wrong/y"])'''
    return "\n\n".join([_HEADER, *(textwrap.dedent(f) for f in functions), final])
