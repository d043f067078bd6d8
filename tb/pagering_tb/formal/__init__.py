"""Proofs: what must always hold of the parts, for every input and for ever.

``specification`` says what a proof is made of, ``contract`` what every stream obeys, ``mutant`` how
a part is broken on purpose; ``solver`` asks yosys, ``counterexample`` reads its answer,
``campaign`` runs all of it. ``specs`` has the specifications, a file for each group of parts;
``invariants`` says which of them make up what must hold of the whole card.
"""
