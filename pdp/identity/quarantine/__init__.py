"""Identities that are believed no more, although what they show would verify: entries, lists of them, files.

Who follows a list, and what it means for a question, is the business of other layers.
"""
