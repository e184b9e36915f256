"""An own reader of Paddle Lite's `.nb` files (the naive buffer), for which no Paddle is needed."""
