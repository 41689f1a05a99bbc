"""The training job: images in, one more version in the model folder out.

The rooms, in the order of a run, which `cli`, `workflow` and `job` put together:

    data -> fit -> judge -> report -> export -> aot

TensorFlow is imported by `fit`, `export`, `aot` and `job` alone, and `workflow` imports `job` only
when the data is there: a wrong folder is reported at once.
"""
