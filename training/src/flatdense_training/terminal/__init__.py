"""What a person at the command line gives and sees."""
