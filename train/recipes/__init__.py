"""The recipes, and the module that reads them."""
