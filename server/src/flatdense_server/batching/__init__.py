"""Which of the ready requests make the next batch. Knows no tensor, no engine, no transport."""
