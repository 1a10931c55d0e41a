"""Names of the files of an exported model."""

MODEL, INT8, WEIGHTS = "model.onnx", "model.int8.onnx", "model.safetensors"
PREPROCESSOR, RECORD, SPEED = "preprocessor.json", "export.json", "speed.json"
CARD, PAGE = "README.md", "model_card.html"
# what the export itself writes; the cards are made of it, and an export removes earlier ones
EXPORTED = (MODEL, INT8, WEIGHTS, PREPROCESSOR, RECORD)
OF_A_MODEL = (*EXPORTED, CARD, PAGE)
