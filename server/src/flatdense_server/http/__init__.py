"""What browsers, probes and scrapers ask for."""
