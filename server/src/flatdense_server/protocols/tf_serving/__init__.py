"""TensorFlow Serving's protocol: tensorflow.serving.PredictionService and ModelService."""
