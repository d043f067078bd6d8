"""Boards that carry a card. None yet: the engine runs in simulation."""
