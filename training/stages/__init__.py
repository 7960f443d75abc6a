"""The two stages of training: pictures made ready, the loop, and what each stage adds to it."""
