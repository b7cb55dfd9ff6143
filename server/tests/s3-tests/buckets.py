"""A plugin of pytest: buckets are there beforehand, each is given out once, and none is deleted."""

import botocore.client
import botocore.exceptions
import s3tests.functional as suite

_call = botocore.client.BaseClient._make_api_call
_given_out: set[str] = set()


def _make_api_call(client, operation, arguments):
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
