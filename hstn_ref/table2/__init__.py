"""The paper's Table 2: `configuration` says what, `running` trains, `judging` measures, `report` and `figures` show."""
