"""The paper's comparison on other photographs: its methods, and what goes beyond, over splits."""
