"""How fast: validate against the reference voice, then time beside PyTorch. The command is `hstn bench`.

cases.py      what is measured
worker.py     a process of one framework: builds a case, computes it, times it when told to
ours.py, pytorch.py    how each framework computes a case
running.py    lets the frameworks take turns and puts the numbers together
chart.py      the picture
"""
