"""The networks of the paper in other frameworks, to be compared with: they judge, nothing here depends on them.

A module is imported only where its framework is asked for; the `verify` extra installs them.
"""
