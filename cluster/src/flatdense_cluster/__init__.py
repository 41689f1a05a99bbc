"""The flatdense classifier past one machine."""
