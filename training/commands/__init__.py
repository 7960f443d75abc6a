"""The commands of training, one a module, imported only when they are called."""
