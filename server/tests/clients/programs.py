"""Clients that are programs. Each function tries one on a bucket of its own and returns its version."""

import dataclasses
import pathlib
import re

from serving import KEY, REGION, SECRET, Server
from work import MEGABYTE, assert_same, bytes_of, digest, environment, fetch, found, output, tree


@dataclasses.dataclass
class Trial:
    server: Server
    bucket: str
    # A folder of its own.
    place: pathlib.Path
    # Where programs from PyPI are.
    tools: pathlib.Path

    @property
    def environment(self) -> dict[str, str]:
        return environment(self.server, self.place)

    def run(self, *command, folder=None, **variables: str) -> str:
        return output(*command, environment=self.environment | variables, folder=folder)

    def large(self) -> pathlib.Path:
        """A file that clients upload in parts."""
        file = self.place / "large"
        file.write_bytes(bytes_of(50, 50 * MEGABYTE))
        return file


def version(text: str) -> str:
    return re.search(r"\d+\.\d+[\w.]*", text)[0]


def aws(it: Trial) -> str:
    aws = found("aws", it.tools)
    run = lambda *arguments: it.run(aws, "s3", *arguments)
    url, large, back = f"s3://{it.bucket}", it.large(), it.place / "back"
    run("cp", large, f"{url}/large")
    run("cp", f"{url}/large", back)
    assert_same(large, back)
    url_of_large = run("presign", f"{url}/large").strip()
    assert digest(fetch(url_of_large)) == digest(large.read_bytes())
    run("mv", f"{url}/large", f"{url}/moved")
    assert "moved" in run("ls", url)
    run("rm", f"{url}/moved")

    files = tree(it.place / "files")
    assert "upload:" in run("sync", files, f"{url}/files")
    assert run("sync", files, f"{url}/files") == "", "the second one copies nothing"
    (files / "small").write_bytes(b"another size")
    (files / "empty").unlink()
    again = run("sync", "--delete", files, f"{url}/files")
    assert again.count("upload:") == again.count("delete:") == 1, again
    run("sync", f"{url}/files", it.place / "synced")
    assert_same(files, it.place / "synced")
    run("rm", "--recursive", url)
    assert run("ls", "--recursive", url) == ""
    return version(it.run(aws, "--version"))


def rclone(it: Trial) -> str:
    run = rclone_of(it)
    large, back = it.large(), it.place / "large back"
    run("copyto", "--s3-upload-cutoff=5M", "--s3-chunk-size=5M", large, f"it:{it.bucket}/large")
    run("copyto", f"it:{it.bucket}/large", back)
    assert_same(large, back)
    run("deletefile", f"it:{it.bucket}/large")
    return rclone_files(it)


def rclone_files(it: Trial) -> str:
    """Without uploads in parts, which not every backend permits."""
    run, nothing = rclone_of(it), "nothing to transfer"
    files, at = tree(it.place / "files"), f"it:{it.bucket}/files"
    run("copy", files, at)
    run("check", files, at)
    run("check", "--download", files, at)
    assert nothing in run("sync", "-v", files, at)
    (files / "small").write_bytes(b"another size")
    (files / "empty").unlink()
    assert nothing not in run("sync", "-v", files, at)
    assert nothing in run("sync", "-v", files, at)
    run("check", "--download", files, at)
    run("copy", at, it.place / "back")
    assert_same(files, it.place / "back")
    run("purge", at)
    left = run("lsf", "-q", "-R", f"it:{it.bucket}")
    assert left == "", left
    return version(run("version"))


def rclone_of(it: Trial):
    rclone = found("rclone")
    remote = {
        "RCLONE_CONFIG": str(it.place / "no configuration"),
        "RCLONE_CONFIG_IT_TYPE": "s3",
        "RCLONE_CONFIG_IT_PROVIDER": "Other",
        "RCLONE_CONFIG_IT_ENDPOINT": it.server.endpoint,
        "RCLONE_CONFIG_IT_ACCESS_KEY_ID": KEY,
        "RCLONE_CONFIG_IT_SECRET_ACCESS_KEY": SECRET,
    }
    return lambda *arguments: it.run(rclone, *arguments, **remote)


def restic(it: Trial) -> str:
    restic = found("restic")
    settings = {
        "RESTIC_REPOSITORY": f"s3:{it.server.endpoint}/{it.bucket}/repository",
        "RESTIC_PASSWORD": "password",
        "RESTIC_CACHE_DIR": str(it.place / "cache"),
    }
    files = tree(it.place / "files")
    (files / "large").write_bytes(bytes_of(20, 20 * MEGABYTE))
    run = lambda *arguments: it.run(restic, *arguments, folder=it.place, **settings)
    run("init")
    run("backup", "files")
    (files / "large").unlink()
    (files / "another").write_bytes(bytes_of(21, 3 * MEGABYTE))
    run("backup", "files")
    run("check", "--read-data")
    run("forget", "--keep-last=1", "--prune")
    run("check", "--read-data")
    run("restore", "latest", "--target", "restored")
    assert_same(files, it.place / "restored" / "files")
    assert run("snapshots", "--json").count('"short_id"') == 1
    return version(run("version"))


def s3cmd(it: Trial) -> str:
    s3cmd = found("s3cmd")
    options = ["--config=/dev/null", "--no-ssl", f"--host={it.server.address}"]
    options += [f"--host-bucket={it.server.address}", f"--region={REGION}", "--no-progress"]
    options += [f"--access_key={KEY}", f"--secret_key={SECRET}"]
    run = lambda *arguments: it.run(s3cmd, *options, *arguments)
    url, large, files = f"s3://{it.bucket}", it.large(), tree(it.place / "files")
    run("put", "--multipart-chunk-size-mb=5", large, f"{url}/large")
    run("get", f"{url}/large", it.place / "back")
    assert_same(large, it.place / "back")
    assert "upload:" in run("sync", f"{files}/", f"{url}/files/")
    (it.place / "synced").mkdir()
    run("sync", f"{url}/files/", f"{it.place}/synced/")
    assert_same(files, it.place / "synced")
    assert "large" in run("ls", url)
    run("del", "--recursive", "--force", url)
    assert run("ls", "--recursive", url) == ""
    return version(it.run(s3cmd, "--version"))


def s5cmd(it: Trial) -> str:
    s5cmd = found("s5cmd", it.tools)
    run = lambda *arguments: it.run(s5cmd, "--endpoint-url", it.server.endpoint, *arguments)
    url, large, files = f"s3://{it.bucket}", it.large(), tree(it.place / "files")
    run("cp", "--part-size=5", large, f"{url}/large")
    run("cp", "--part-size=5", f"{url}/large", it.place / "back")
    assert_same(large, it.place / "back")
    run("mv", f"{url}/large", f"{url}/moved")
    assert "moved" in run("ls", url)
    assert run("sync", f"{files}/", f"{url}/files/") != ""
    assert run("sync", f"{files}/", f"{url}/files/") == "", "the second one copies nothing"
    run("cp", f"{url}/files/*", f"{it.place}/copied/")
    assert_same(files, it.place / "copied")
    run("rm", f"{url}/*")
    left = run("du", url)
    assert " 0 objects" in left, left
    return version(run("version"))
