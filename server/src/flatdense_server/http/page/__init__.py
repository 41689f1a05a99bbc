"""The page at /, and what of a served version it alone asks for."""
