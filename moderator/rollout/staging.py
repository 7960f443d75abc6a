"""Choose the posts that a staged release judges: a share, the same on every member. Pure."""

import hashlib


def is_staged(post_id: str, fraction: float) -> bool:
    """Whether a post is among the share that a staged release judges.

    A post with one id is judged by one release however often it comes, and a larger share holds
    every post of a smaller one.

    Args:
        post_id: Of the post.
        fraction: The share, in 0..1.
    """
    hashed = hashlib.sha256(post_id.encode(errors="surrogatepass")).digest()[:8]
    return int.from_bytes(hashed) < fraction * 2**64
