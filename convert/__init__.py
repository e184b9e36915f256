"""Inference models in, Paddle Lite `.nb` files out, with proof that they are right."""
