"""The Open Inference Protocol, version 2, with Triton's extras: inference.GRPCInferenceService."""
