"""Names of the files of an exported model."""

MODEL, INT8, WEIGHTS = "model.onnx", "model.int8.onnx", "model.safetensors"
PREPROCESSOR, RECORD, SPEED = "preprocessor.json", "export.json", "speed.json"
CARD, PAGE = "README.md", "model_card.html"
EXPORTED = (MODEL, INT8, WEIGHTS, PREPROCESSOR, RECORD)
OF_A_MODEL = (*EXPORTED, CARD, PAGE)
