"""How well embeddings rank, flag and rate: figures of merit, tables and pictures of them."""
