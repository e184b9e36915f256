"""`paddle_lite_opt`: environments, checks, failures, the conversion."""
