"""The nouns of the house: frozen, typed values that every room shares. Imports nothing of ours."""
