"""What is learnt from: found, read, verified and parted."""
