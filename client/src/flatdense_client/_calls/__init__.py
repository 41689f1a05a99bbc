"""How calls travel: whole, in pieces, as streams, or many in one message."""
