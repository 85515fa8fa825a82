"""The paper's Table 1: `configuration` says what, `running` trains, `report` writes, `figures` draws,
`flows` compares several rows of HSTN.
"""
