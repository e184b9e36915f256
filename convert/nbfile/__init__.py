"""The kit's own reader of Paddle Lite's `.nb` files (the naive buffer); it needs no Paddle."""
