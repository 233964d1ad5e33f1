"""What many differences have in common: the transform that makes the candidate's values out of legacy's. Pure.

Each differing pair is looked at once, when it is judged (`signature`): which transforms fit each of its differences,
with their parameters. Differences with the same place and the same fitting transforms are counted together (`tally`),
with what all of them have in common (`common`). From those counts alone, causes follow whenever somebody asks
(`grouping`), verified on every member because every member was counted; `naming` says them in sentences, `states` what
became of them.
"""
