"""Classifies whole folders and files, by Ray Data."""
