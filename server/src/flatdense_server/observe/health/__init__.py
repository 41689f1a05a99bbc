"""Prediction health: how images and answers look, and how far from the training's."""
