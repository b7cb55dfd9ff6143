"""Debian's `docker-registry` with a bucket for its storage, and what pushes to it."""

import gzip
import io
import json
import pathlib
import tarfile
import urllib.request

from programs import Trial, version
from serving import KEY, REGION, SECRET, Program, free_ports, listens, until
from work import MEGABYTE, assert_same, bytes_of, digest, found

MANIFEST = "application/vnd.oci.image.manifest.v1+json"
CONFIG = "application/vnd.oci.image.config.v1+json"
LAYER = "application/vnd.oci.image.layer.v1.tar+gzip"


def settings(it: Trial, port: int) -> str:
    return json.dumps(
        {
            "version": "0.1",
            "storage": {
                "s3": {
                    "accesskey": KEY,
                    "secretkey": SECRET,
                    "region": REGION,
                    "regionendpoint": it.server.endpoint,
                    "bucket": it.bucket,
                    "secure": False,
                    "v4auth": True,
                    "chunksize": 5 << 20,
                },
                "delete": {"enabled": True},
            },
            "http": {"addr": f"127.0.0.1:{port}", "secret": "secret"},
        }
    )


class Registry(Program):
    def __init__(self, it: Trial):
        binary = found("docker-registry")
        [port] = free_ports(1)
        file = it.place / "registry.yml"
        # YAML includes JSON.
        file.write_text(settings(it, port))
        super().__init__([binary, "serve", file], it.place / "registry.log", it.environment)
        self.address = f"127.0.0.1:{port}"
        try:
            until("docker-registry", self.process, lambda: listens(port))
        except BaseException:
            self.__exit__()
            raise

    def request(self, method: str, target: str, data: bytes | None = None, **headers: str):
        url = target if target.startswith("http") else f"http://{self.address}{target}"
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        request = urllib.request.Request(url, data, named, method=method)
        return urllib.request.urlopen(request, timeout=60)


def image(seed: int, size: int) -> tuple[dict, bytes, bytes]:
    """An image of one layer: its manifest, its configuration and the layer."""
    content = bytes_of(seed, size)
    packed = io.BytesIO()
    with tarfile.open(fileobj=packed, mode="w") as tar:
        entry = tarfile.TarInfo("file")
        entry.size = size
        tar.addfile(entry, io.BytesIO(content))
    layer = gzip.compress(packed.getvalue(), 1, mtime=0)
    system = {"type": "layers", "diff_ids": [f"sha256:{digest(packed.getvalue())}"]}
    config = json.dumps({"architecture": "amd64", "os": "linux", "rootfs": system}).encode()
    named = lambda kind, data: {"mediaType": kind, "digest": f"sha256:{digest(data)}", "size": len(data)}
    manifest = {"schemaVersion": 2, "mediaType": MANIFEST}
    manifest |= {"config": named(CONFIG, config), "layers": [named(LAYER, layer)]}
    return manifest, config, layer


def layout(place: pathlib.Path, seed: int) -> pathlib.Path:
    """The same as a folder that programs read."""
    manifest, config, layer = image(seed, 12 * MEGABYTE)
    encoded = json.dumps(manifest).encode()
    blobs = place / "blobs" / "sha256"
    blobs.mkdir(parents=True)
    for data in (encoded, config, layer):
        (blobs / digest(data)).write_bytes(data)
    (place / "oci-layout").write_text('{"imageLayoutVersion": "1.0.0"}')
    entry = {"mediaType": MANIFEST, "digest": f"sha256:{digest(encoded)}", "size": len(encoded)}
    entry["annotations"] = {"org.opencontainers.image.ref.name": "latest"}
    (place / "index.json").write_text(json.dumps({"schemaVersion": 2, "manifests": [entry]}))
    return place


def docker_registry(it: Trial) -> str:
    """A push whose layer comes in several requests, by the registry's protocol, and the pull."""
    with Registry(it) as registry:
        manifest, config, layer = image(1, 17 * MEGABYTE)
        for blob in (config, layer):
            place = registry.request("POST", "/v2/it/blobs/uploads/", b"").headers["Location"]
            step = 7 * MEGABYTE
            for begin in range(0, len(blob), step):
                part = blob[begin : begin + step]
                through = f"{begin}-{begin + len(part) - 1}"
                kind = "application/octet-stream"
                answer = registry.request("PATCH", place, part, Content_Range=through, Content_Type=kind)
                place = answer.headers["Location"]
            registry.request("PUT", f"{place}&digest=sha256:{digest(blob)}", b"")
        registry.request("PUT", "/v2/it/manifests/1", json.dumps(manifest).encode(), Content_Type=MANIFEST)
        pulled = json.load(registry.request("GET", "/v2/it/manifests/1", Accept=MANIFEST))
        assert pulled == manifest
        for blob in (config, layer):
            answer = registry.request("GET", f"/v2/it/blobs/sha256:{digest(blob)}")
            # The registry redirects to the bucket.
            assert answer.url.startswith(it.server.endpoint), answer.url
            assert answer.read() == blob
        tags = json.load(registry.request("GET", "/v2/it/tags/list"))
        assert tags["tags"] == ["1"], tags
    return version(it.run(found("docker-registry"), "--version"))


def skopeo(it: Trial) -> str:
    """A push and a pull by a client of registries; the storage is the same."""
    skopeo = found("skopeo")
    policy = it.place / "policy.json"
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    with Registry(it) as registry:
        source, back = layout(it.place / "image", 2), it.place / "pulled"
        copy = [skopeo, f"--policy={policy}", f"--tmpdir={it.place}", "copy"]
        name = f"docker://{registry.address}/it/image:latest"
        it.run(*copy, "--dest-tls-verify=false", f"oci:{source}:latest", name)
        it.run(*copy, "--src-tls-verify=false", name, f"oci:{back}:latest")
        assert_same(source / "blobs", back / "blobs")
    return version(it.run(skopeo, "--version"))
