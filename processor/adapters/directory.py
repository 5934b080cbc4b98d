"""A folder that stands for S3: `<folder>/<bucket>/<key>`. For trials and tests, without an account."""

from __future__ import annotations

from datetime import UTC, datetime
from hashlib import md5
from pathlib import Path

from processor.interpreter.item_reader import Listed


class DirectoryObjects:
    """Objects as files. A key leads nowhere outside its bucket's folder, whatever it looks like."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def get(self, bucket: str, key: str, *, version: str | None) -> bytes | None:
        """Return the file's bytes, None where there is none. Files have no versions: the one there is, is meant."""
        path = self._path(bucket, key)
        return path.read_bytes() if path is not None and path.is_file() else None

    def list(self, bucket: str, prefix: str) -> list[Listed]:
        """Return the bucket's files whose key begins with `prefix`, in the order of S3: by the key's UTF-8."""
        root = self._path(bucket, "")
        if root is None or not root.is_dir():
            return []
        files = {path.relative_to(root).as_posix(): path for path in root.rglob("*") if path.is_file()}
        return [_listed(key, files[key]) for key in sorted(files, key=str.encode) if key.startswith(prefix)]

    def put(self, bucket: str, key: str, content: bytes) -> bool:
        """Write the file, and the folders it is in; return whether its place is one."""
        path = self._path(bucket, key)
        if path is None:
            return False
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content)
        return True

    def _path(self, bucket: str, key: str) -> Path | None:
        root = self._folder.resolve()
        if "/" in bucket or bucket in ("", ".", "..") or "\0" in bucket + key:
            return None
        path = (root / bucket / key).resolve()
        return path if path.is_relative_to(root / bucket) else None


def _listed(key: str, path: Path) -> Listed:
    content, modified = path.read_bytes(), path.stat().st_mtime
    etag = md5(content, usedforsecurity=False).hexdigest()  # as S3's is for what was not uploaded in parts
    return Listed(key=key, size=len(content), etag=etag, modified=datetime.fromtimestamp(modified, UTC))
