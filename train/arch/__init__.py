"""PP-OCRv3 in Paddle, with PaddleOCR's parameter names."""
