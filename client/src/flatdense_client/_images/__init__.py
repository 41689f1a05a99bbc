"""What callers give, and how it becomes rows of pixels. Nothing here sends a byte."""
