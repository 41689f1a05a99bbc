"""The native protocol: rows to messages, answers to results, refusals to errors. No I/O."""
