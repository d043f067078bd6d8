"""The simulation bench: a card under cocotb, with models of its wire, its host and its memory."""
