"""Safe copies of images, where people who decide on posts can see them."""
