"""From untrusted bytes to pixels in shared memory, in processes that may die."""
