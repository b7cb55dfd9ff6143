"""Libraries that keep data in buckets: `data.py NAME BUCKET`. Each writes its version."""

import importlib.metadata
import multiprocessing
import os
import sys

from work import MEGABYTE, bytes_of

KEY, SECRET = os.environ["AWS_ACCESS_KEY_ID"], os.environ["AWS_SECRET_ACCESS_KEY"]
ENDPOINT, REGION = os.environ["AWS_ENDPOINT_URL"], os.environ["AWS_REGION"]


def table():
    import pandas

    return pandas.DataFrame({"number": range(100_000), "text": ["some text", "other"] * 50_000})


def try_s3fs(bucket: str) -> None:
    import s3fs

    files = s3fs.S3FileSystem(key=KEY, secret=SECRET, endpoint_url=ENDPOINT)
    data = bytes_of(4, 12 * MEGABYTE)
    with files.open(f"{bucket}/large", "wb", block_size=5 << 20) as file:
        file.write(data)
    with files.open(f"{bucket}/large", "rb") as file:
        file.seek(5 * MEGABYTE)
        assert file.read(1000) == data[5 * MEGABYTE : 5 * MEGABYTE + 1000]
    assert files.cat_file(f"{bucket}/large") == data
    files.cp_file(f"{bucket}/large", f"{bucket}/folder/copy")
    files.mv(f"{bucket}/large", f"{bucket}/folder/moved")
    assert files.find(bucket) == [f"{bucket}/folder/{name}" for name in ("copy", "moved")]
    assert files.du(f"{bucket}/folder") == 2 * len(data)
    files.rm(f"{bucket}/folder", recursive=True)
    files.invalidate_cache()
    assert files.find(bucket) == []


def try_pandas(bucket: str) -> None:
    import pandas

    options = {"key": KEY, "secret": SECRET, "endpoint_url": ENDPOINT}
    url = f"s3://{bucket}/table"
    table().to_parquet(f"{url}.parquet", storage_options=options)
    table().to_csv(f"{url}.csv", index=False, storage_options=options)
    assert pandas.read_parquet(f"{url}.parquet", storage_options=options).equals(table())
    assert pandas.read_csv(f"{url}.csv", storage_options=options).equals(table())


def try_zarr(bucket: str) -> None:
    import numpy
    import zarr

    options = {"key": KEY, "secret": SECRET, "endpoint_url": ENDPOINT}
    url = f"s3://{bucket}/group.zarr"
    numbers = numpy.random.default_rng(1).random((300, 200))
    group = zarr.open_group(url, mode="w", storage_options=options)
    array = group.create_array("numbers", shape=numbers.shape, chunks=(100, 100), dtype="f8")
    array[:] = numbers
    array[10:20, 30:40] = 0
    numbers[10:20, 30:40] = 0
    again = zarr.open_group(url, mode="r", storage_options=options)["numbers"]
    assert (again[:] == numbers).all()


def try_pyarrow(bucket: str) -> None:
    import pyarrow
    from pyarrow import dataset, fs, parquet

    files = fs.S3FileSystem(
        access_key=KEY, secret_key=SECRET, region=REGION, endpoint_override=ENDPOINT
    )
    rows = pyarrow.Table.from_pandas(table()).append_column(
        "part", pyarrow.array([number % 4 for number in range(100_000)])
    )
    parquet.write_table(rows, f"{bucket}/table.parquet", filesystem=files)
    assert parquet.read_table(f"{bucket}/table.parquet", filesystem=files).equals(rows)
    dataset.write_dataset(
        rows, f"{bucket}/parts", format="parquet", partitioning=["part"], filesystem=files
    )
    read = dataset.dataset(f"{bucket}/parts", partitioning=["part"], filesystem=files)
    assert read.count_rows() == 100_000
    data = bytes_of(5, 25 * MEGABYTE)
    with files.open_output_stream(f"{bucket}/large") as file:
        file.write(data)
    with files.open_input_file(f"{bucket}/large") as file:
        assert file.read() == data
    files.delete_dir_contents(f"{bucket}/parts")
    left = files.get_file_info(fs.FileSelector(bucket, recursive=True))
    assert {one.base_name for one in left if one.is_file} == {"table.parquet", "large"}, left


def try_obstore(bucket: str) -> None:
    import obstore
    from obstore.store import S3Store

    store = S3Store(
        bucket,
        access_key_id=KEY,
        secret_access_key=SECRET,
        region=REGION,
        endpoint=ENDPOINT,
        client_options={"allow_http": True},
    )
    data = bytes_of(6, 25 * MEGABYTE)
    obstore.put(store, "folder/large", data, use_multipart=True, chunk_size=5 << 20)
    assert bytes(obstore.get(store, "folder/large").bytes()) == data
    assert bytes(obstore.get_range(store, "folder/large", start=7, length=1000)) == data[7:1007]
    created = obstore.put(store, "once", b"1", mode="create")
    try:
        obstore.put(store, "once", b"2", mode="create")
        raise AssertionError("what exists was created")
    except obstore.exceptions.AlreadyExistsError:
        pass
    obstore.put(store, "once", b"2", mode={"e_tag": created["e_tag"]})
    obstore.rename(store, "once", "folder/renamed")
    listed = [one["path"] for page in obstore.list(store) for one in page]
    assert sorted(listed) == ["folder/large", "folder/renamed"], listed
    obstore.delete(store, listed)
    assert [one for page in obstore.list(store) for one in page] == []


WRITERS, APPENDS = 4, 5


def append(url: str, writer: int) -> None:
    import deltalake
    import pyarrow

    for number in range(APPENDS):
        rows = pyarrow.table({"writer": [writer], "number": [number]})
        deltalake.write_deltalake(url, rows, mode="append", storage_options=delta())


def delta() -> dict[str, str]:
    return {"AWS_ENDPOINT_URL": ENDPOINT, "AWS_ALLOW_HTTP": "true", "conditional_put": "etag"}


def try_deltalake(bucket: str) -> None:
    import deltalake
    import pyarrow

    url = f"s3://{bucket}/table"
    none = pyarrow.table({"writer": pyarrow.array([], "int64"), "number": pyarrow.array([], "int64")})
    deltalake.write_deltalake(url, none, storage_options=delta())
    processes = multiprocessing.get_context("spawn")
    writers = [processes.Process(target=append, args=(url, n)) for n in range(WRITERS)]
    for writer in writers:
        writer.start()
    for writer in writers:
        writer.join()
    assert [writer.exitcode for writer in writers] == [0] * WRITERS
    table = deltalake.DeltaTable(url, storage_options=delta())
    rows = table.to_pyarrow_table().to_pylist()
    stored = sorted((row["writer"], row["number"]) for row in rows)
    assert stored == [(w, n) for w in range(WRITERS) for n in range(APPENDS)], stored
    assert table.version() == WRITERS * APPENDS, "a version for each commit"


def try_icechunk(bucket: str) -> None:
    import icechunk
    import zarr

    storage = icechunk.s3_storage(
        bucket=bucket,
        prefix="repository",
        region=REGION,
        endpoint_url=ENDPOINT,
        access_key_id=KEY,
        secret_access_key=SECRET,
        allow_http=True,
        force_path_style=True,
    )
    repository = icechunk.Repository.create(storage)
    session = repository.writable_session("main")
    array = zarr.create_array(session.store, name="numbers", shape=(1000,), chunks=(100,), dtype="i4")
    array[:] = 7
    session.commit("sevens")
    again = icechunk.Repository.open(storage).readonly_session("main")
    assert (zarr.open_array(again.store, path="numbers", mode="r")[:] == 7).all()


def main() -> None:
    name, bucket = sys.argv[1:]
    globals()[f"try_{name}"](bucket)
    print(importlib.metadata.version(name), flush=True)
    # What was to be checked is checked. Threads of pyarrow that still call Python while it ends abort
    # the process: 4 of 40 times when deltalake read a table from a local directory, without a server.
    os._exit(0)


if __name__ == "__main__":
    main()
