"""boto3: `sdk.py WHAT BUCKET`, where WHAT is `all`, or `plain` for a backend that only puts, gets and
deletes. Writes its version."""

import io
import os
import sys
import urllib.request

import boto3
import botocore.session
from boto3.s3.transfer import TransferConfig
from botocore.config import Config
from botocore.exceptions import ClientError

from work import MEGABYTE, bytes_of, fetch

CHECKSUMS = ["CRC32", "CRC32C", "CRC64NVME", "SHA1", "SHA256"]


def code(call, **arguments) -> str:
    """The code of the error that this call has to have."""
    try:
        call(**arguments)
    except ClientError as error:
        return error.response["Error"]["Code"]
    raise AssertionError(f"{arguments} succeeds")


def plain(s3, bucket: str) -> None:
    for size in (0, 11, 70_000, 1_300_000):
        at, data = {"Bucket": bucket, "Key": f"plain/{size} ünï"}, bytes_of(size, size)
        assert code(s3.get_object, **at) == "NoSuchKey"
        s3.put_object(**at, Body=b"to be replaced")
        s3.put_object(**at, Body=data)
        assert s3.get_object(**at)["Body"].read() == data
        assert s3.head_object(**at)["ContentLength"] == size
        s3.delete_object(**at)
        assert code(s3.get_object, **at) == "NoSuchKey"


def objects(s3, bucket: str) -> None:
    at = {"Bucket": bucket, "Key": "an object/ünï + %"}
    s3.put_object(**at, Body=b"bytes", ContentType="text/plain", Metadata={"owner": "me"})
    got = s3.get_object(**at)
    assert got["Body"].read() == b"bytes"
    assert (got["ContentType"], got["Metadata"]) == ("text/plain", {"owner": "me"})
    assert s3.get_object(**at, Range="bytes=1-2")["Body"].read() == b"yt"
    assert s3.head_object(**at)["ContentLength"] == 5
    s3.copy_object(Bucket=bucket, Key="copy", CopySource=at)
    assert s3.get_object(Bucket=bucket, Key="copy")["Body"].read() == b"bytes"
    assert code(s3.get_object, Bucket=bucket, Key="none") == "NoSuchKey"
    assert code(s3.get_object, Bucket="nobodys", Key="none") == "NoSuchBucket"
    assert code(s3.put_object, **at, Body=b"other", IfNoneMatch="*") == "PreconditionFailed"
    assert code(s3.put_object, **at, Body=b"other", IfMatch='"none"') == "PreconditionFailed"
    s3.put_object(**at, Body=b"other", IfMatch=got["ETag"])
    for name in CHECKSUMS:
        try:
            s3.put_object(**at, Body=b"checked", ChecksumAlgorithm=name)
        except botocore.exceptions.MissingDependencyException:
            # It computes some of them only with its C library.
            continue
        assert s3.get_object(**at, ChecksumMode="ENABLED")["Body"].read() == b"checked"


def parts_in_threads(s3, bucket: str) -> None:
    data = bytes_of(3, 32 * MEGABYTE)
    config = TransferConfig(
        multipart_threshold=5 << 20, multipart_chunksize=5 << 20, max_concurrency=8
    )
    s3.upload_fileobj(
        io.BytesIO(data), bucket, "large", {"Metadata": {"in": "parts"}}, Config=config
    )
    back = io.BytesIO()
    s3.download_fileobj(bucket, "large", back, Config=config)
    assert back.getvalue() == data
    assert s3.head_object(Bucket=bucket, Key="large")["Metadata"] == {"in": "parts"}
    s3.copy({"Bucket": bucket, "Key": "large"}, bucket, "large copy", Config=config)
    assert s3.get_object(Bucket=bucket, Key="large copy")["Body"].read() == data
    assert "Uploads" not in s3.list_multipart_uploads(Bucket=bucket)


def listings(s3, bucket: str) -> None:
    keys = [f"listed/{number:03}" for number in range(25)]
    for key in keys:
        s3.put_object(Bucket=bucket, Key=key, Body=b"1")
    for operation in ("list_objects", "list_objects_v2"):
        pages = s3.get_paginator(operation).paginate(
            Bucket=bucket, Prefix="listed/", PaginationConfig={"PageSize": 7}
        )
        listed = [[one["Key"] for one in page["Contents"]] for page in pages]
        assert len(listed) == 4 and sum(listed, []) == keys, listed
        top = getattr(s3, operation)(Bucket=bucket, Delimiter="/")
        assert {"Prefix": "listed/"} in top["CommonPrefixes"]
    gone = s3.delete_objects(Bucket=bucket, Delete={"Objects": [{"Key": key} for key in keys]})
    assert len(gone["Deleted"]) == len(keys) and "Errors" not in gone
    assert "Contents" not in s3.list_objects_v2(Bucket=bucket, Prefix="listed/")


def presigned(bucket: str) -> None:
    for version in ("s3v4", "s3"):
        s3 = boto3.client("s3", config=Config(signature_version=version))
        at = {"Bucket": bucket, "Key": f"presigned {version}"}
        put = urllib.request.Request(
            s3.generate_presigned_url("put_object", at), b"sent", method="PUT"
        )
        # What urllib would add is part of a signature of version 2.
        put.add_header("Content-Type", "")
        urllib.request.urlopen(put, timeout=60).close()
        assert fetch(s3.generate_presigned_url("get_object", at)) == b"sent"


def main() -> None:
    what, bucket = sys.argv[1:]
    s3 = boto3.client("s3")
    assert os.environ["AWS_ENDPOINT_URL"] == s3.meta.endpoint_url
    assert bucket in [one["Name"] for one in s3.list_buckets()["Buckets"]]
    plain(s3, bucket)
    if what == "all":
        objects(s3, bucket)
        parts_in_threads(s3, bucket)
        listings(s3, bucket)
        presigned(bucket)
    print(boto3.__version__)


if __name__ == "__main__":
    main()
