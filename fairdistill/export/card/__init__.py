"""The card of an exported model: Markdown with a YAML head, as Hugging Face reads it, and the same as one HTML page.

What a card says follows Mitchell et al., "Model Cards for Model Reporting", FAT* 2019.
"""
