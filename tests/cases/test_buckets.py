"""Buckets as Envoy and HAProxy choose them. Data: buckets.json in the folder that FIG_CASES names."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from rules.buckets import bucket

FOLDER = Path(os.environ.get("FIG_CASES", Path(__file__).parents[2].parent / "shared" / "cases"))


def test_buckets_are_those_that_envoy_and_haproxy_choose() -> None:
    file = FOLDER / "buckets.json"
    if not file.exists():
        pytest.skip(f"{file.name} is not there; FIG_CASES names its folder")
    vectors = json.loads(file.read_text())["vectors"]
    assert vectors
    wrong = [vector for vector in vectors if bucket(vector["salt"], vector["unit"]) != vector["bucket"]]
    assert not wrong


def test_a_bucket_is_xxh64_of_salt_bar_unit() -> None:
    assert bucket("products", "d4e4ac21-1ff0-120a-30dc-a2bc63dbe7dd") == 448_052  # chosen by Envoy 1.40 and HAProxy 2.6
