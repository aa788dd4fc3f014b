"""Policy text to AST and back."""
