"""How a client connects: addresses, encryption, tokens, hedging, forks."""
