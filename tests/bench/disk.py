"""A disk for the engines of a benchmark that writes and removes many files: an ext4 as mkfs makes it, with a journal.

The one of a virtual machine may have none, and without one ext4 passes over the inodes that were deleted in the last minutes
one by one at each file it makes (recently_deleted() in the kernel's fs/ext4/ialloc.c): what a round removes would be
what the next one is measured by.
"""
import contextlib
import pathlib
import subprocess
import sys
import tempfile

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "e2e"))
from harness import CACHE  # noqa: E402

SIZE = "16G"  # of a sparse file


@contextlib.contextmanager
def disk_of_its_own():
    """Temporary folders, and with them the engines' state, are on it while the block lasts."""
    with tempfile.TemporaryDirectory(prefix="composed-disk-", dir=CACHE) as folder:
        image, mounted = f"{folder}/disk", f"{folder}/mounted"
        subprocess.run(["truncate", "-s", SIZE, image], check=True)
        subprocess.run(["mkfs.ext4", "-q", "-E", "lazy_itable_init=0,lazy_journal_init=0,nodiscard", image], check=True)
        subprocess.run(["mkdir", mounted], check=True)
        subprocess.run(["mount", "-o", "loop,noatime", image, mounted], check=True)
        before, tempfile.tempdir = tempfile.tempdir, mounted
        try:
            yield
        finally:
            tempfile.tempdir = before
            subprocess.run(["umount", mounted], check=True)
