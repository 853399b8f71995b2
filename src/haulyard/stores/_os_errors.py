"""What the operating system's errors mean for an object that is a file."""

from __future__ import annotations

import errno

from haulyard.errors import AccessDenied, NotFound, StoreError, UnsafeName

#: errno -> (error, what happened, what to do about it).
_MEANINGS: dict[int, tuple[type[StoreError], str, str]] = {
    errno.ENOENT: (NotFound, "does not exist", ""),
    errno.EACCES: (
        AccessDenied,
        "permission denied",
        "check the owner and mode of the file and its directories",
    ),
    errno.EPERM: (AccessDenied, "not permitted", "Check the owner and mode of the file and its directories."),
    errno.EROFS: (AccessDenied, "the file system is read-only", "Choose a directory that can be written."),
    errno.ENOSPC: (StoreError, "the disk is full", "Free some space and run the command again."),
    errno.EDQUOT: (StoreError, "the disk quota is used up", "Free some space and run the command again."),
    errno.EFBIG: (StoreError, "the file system holds no file of this size", "Choose another file system."),
    errno.EISDIR: (
        UnsafeName,
        "a directory of this name is in the way",
        "a directory cannot hold both 'a' and 'a/b'; move one of them, or choose another destination",
    ),
    errno.ENOTDIR: (
        UnsafeName,
        "a file stands where a directory is needed",
        "a directory cannot hold both 'a' and 'a/b'; move one of them, or choose another destination",
    ),
    errno.ELOOP: (
        UnsafeName,
        "a symbolic link is in the way",
        "nothing is written through symbolic links; name the directory it leads to as the destination",
    ),
    errno.ENAMETOOLONG: (
        UnsafeName,
        "the name is too long for this file system",
        "choose a shorter destination",
    ),
    errno.EINVAL: (UnsafeName, "this file system refuses the name", "Choose another file system."),
    errno.EILSEQ: (UnsafeName, "this file system refuses the name", "Choose another file system."),
    errno.EMFILE: (StoreError, "too many open files", "Raise `ulimit -n` or lower --concurrency."),
    errno.ENFILE: (StoreError, "too many open files on this machine", "Lower --concurrency."),
    errno.EIO: (
        StoreError,
        "the disk reported an input/output error",
        "check the disk; the kernel's log says more",
    ),
}
# A directory that is not empty cannot be renamed over either; where two names meet, the values are the same.
_MEANINGS[errno.ENOTEMPTY] = _MEANINGS[errno.EEXIST] = _MEANINGS[errno.EISDIR]


def translate(error: OSError, operation: str, key: str, root: str) -> StoreError:
    """Return the store's error for ``error``, which ``operation`` on ``key`` below ``root`` ran into."""
    kind, meaning, hint = _MEANINGS.get(error.errno or 0, (StoreError, error.strerror or str(error), ""))
    where = f"{root}/{key}" if key else root
    return kind(f"{where}: {meaning}", store="local", operation=operation, bucket=root, key=key, hint=hint)
