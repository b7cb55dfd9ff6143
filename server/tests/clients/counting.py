"""A counter in one object, incremented under `If-Match` by clients that do not know each other.

    counting.py BUCKET CLIENTS INCREMENTS ENDPOINT...

The clients are spread over the endpoints. Each value that was acknowledged has to be so once, and the
counter has to end at the number of increments.
"""

import concurrent.futures
import sys
import time

import boto3
from botocore.config import Config
from botocore.exceptions import ClientError

KEY = "counter"
# A retry of the library would not tell whether the first attempt was stored.
ONCE = Config(retries={"total_max_attempts": 1}, s3={"addressing_style": "path"})


def client(endpoint: str):
    return boto3.session.Session().client("s3", endpoint_url=endpoint, config=ONCE)


def refused(error: ClientError) -> bool:
    status = error.response["ResponseMetadata"]["HTTPStatusCode"]
    return status == 412 or (status == 409 and error.response["Error"]["Code"] != "InternalError")


def increments(endpoint: str, bucket: str, count: int) -> tuple[list[int], int]:
    """The values that this client stored, and how often another one was faster."""
    s3, stored, lost = client(endpoint), [], 0
    while len(stored) < count:
        got = s3.get_object(Bucket=bucket, Key=KEY)
        value = int(got["Body"].read()) + 1
        try:
            s3.put_object(Bucket=bucket, Key=KEY, Body=str(value).encode(), IfMatch=got["ETag"])
        except ClientError as error:
            if not refused(error):
                raise
            lost += 1
        else:
            stored.append(value)
    return stored, lost


def main() -> None:
    bucket, clients, count, *endpoints = sys.argv[1:]
    clients, count, begun = int(clients), int(count), time.monotonic()
    first = client(endpoints[0])
    first.put_object(Bucket=bucket, Key=KEY, Body=b"0")
    with concurrent.futures.ThreadPoolExecutor(clients) as pool:
        of = [endpoints[number % len(endpoints)] for number in range(clients)]
        done = list(pool.map(lambda endpoint: increments(endpoint, bucket, count), of))
    values = sorted(value for stored, _ in done for value in stored)
    final = int(first.get_object(Bucket=bucket, Key=KEY)["Body"].read())
    total, twice = clients * count, len(values) - len(set(values))
    refusals = sum(lost for _, lost in done)
    text = f"{total} increments by {clients} clients, {refusals} refused, in {time.monotonic() - begun:.1f} s"
    if final != total or twice:
        sys.exit(f"{text}: the counter is at {final}, and {twice} values were stored twice")
    print(text)


if __name__ == "__main__":
    main()
