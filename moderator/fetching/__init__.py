"""Images by reference: https, files and object stores, each within narrow bounds."""
