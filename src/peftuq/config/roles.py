"""The linear layers of a transformer block by their roles, whatever an architecture calls them."""

ATTENTION, FFN = ("q", "k", "v", "o"), ("gate", "up", "down")
PLACES = {"attention": ATTENTION, "ffn": FFN}
