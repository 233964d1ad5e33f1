"""Judged as Kayenta's judge would (NetflixACAJudge-v1.0): classify every metric, score the groups, hold the score
against two thresholds. Pure. Legacy is what Kayenta calls control or baseline, the candidate its experiment or canary.

`preparing`, `classifying`, `scoring` and `scheduling` answer as Kayenta does, faults included; `divergences` says in
one place where fig does otherwise, and `judging` is the gate that fig asks (`method: kayenta`).
"""
