"""Models to take away: ONNX files that predict by themselves, their cards, and the metadata of their data sets.

`prediction`, `pictures`, `preprocessor` and `sessions` are what predicting takes: they need onnxruntime and Pillow, and
neither torch nor any other file than the model. The other modules make the files.
"""
