"""The training job: images in, one more version in the model folder out.

The way of a run, which `cli` and `job` put together:

    sources -> split -> model, train -> evaluate -> export -> publish

TensorFlow is imported by `model`, `train`, `signatures`, `export` and `job` alone, and `cli`
imports `job` only when the data is there: a wrong folder is reported at once.
"""
