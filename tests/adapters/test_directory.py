"""A folder that stands for S3."""

from __future__ import annotations

import os
from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

import pytest

from processor.adapters.directory import DirectoryObjects
from processor.interpreter.item_reader import Listed


def test_what_is_written_is_there_and_listed_by_key(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    for key in ("b", "a/2", "a/1", "a-"):
        assert objects.put("bucket", key, key.encode())
        os.utime(tmp_path / "bucket" / key, (7, 7))
    assert objects.get("bucket", "a/1", version=None) == b"a/1"
    assert objects.list("bucket", "a/") == [
        Listed(key=k, size=3, etag=md5(k.encode()).hexdigest(), modified=datetime.fromtimestamp(7, UTC))
        for k in ("a/1", "a/2")
    ]
    assert [listed.key for listed in objects.list("bucket", "")] == ["a-", "a/1", "a/2", "b"]


def test_what_is_not_there_is_none(tmp_path: Path) -> None:
    objects = DirectoryObjects(tmp_path)
    objects.put("bucket", "folder/key", b"")
    assert objects.get("bucket", "no", version="v") is None
    assert objects.get("bucket", "folder", version=None) is None
    assert objects.list("no", "") == []


@pytest.mark.parametrize(
    ("bucket", "key"),
    [("bucket", "../secret"), ("bucket", "/etc/passwd"), ("..", "secret"), (".", "secret"), ("", "secret"),
     ("a/b", "k"), ("bucket", "a\0b"), ("bucket", "link/secret")],
)  # fmt: skip
def test_no_key_leads_outside_its_bucket(tmp_path: Path, bucket: str, key: str) -> None:
    root = tmp_path / "root"
    (root / "bucket").mkdir(parents=True)
    (tmp_path / "secret").write_text("s")
    (root / "secret").write_text("s")
    (root / "bucket" / "link").symlink_to(tmp_path)
    objects = DirectoryObjects(root)
    assert objects.get(bucket, key, version=None) is None
    assert not objects.put(bucket, key, b"x")
    assert (tmp_path / "secret").read_text() == (root / "secret").read_text() == "s"
    assert objects.list(bucket, "..") == []
