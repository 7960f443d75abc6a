"""The paper's comparison on other photographs: its methods and ours over several splits."""
