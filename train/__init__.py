"""PP-OCRv3 for licence plates in Paddle: weights, data, fitting, quantising, evaluation."""
