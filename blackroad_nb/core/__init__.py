"""The rules of the house: pure, synchronous, standard library only."""
