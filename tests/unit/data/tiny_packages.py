"""Tiny wheels and sdists made on the spot: a package index without a network."""

import base64
import hashlib
import io
import tarfile
import zipfile
from pathlib import Path

# The build backend that the sdist brings along; it needs nothing from an index.
BACKEND = """
import os
def prepare_metadata_for_build_wheel(directory, settings=None):
    folder = os.path.join(directory, "{name}-{version}.dist-info")
    os.makedirs(folder)
    with open(os.path.join(folder, "METADATA"), "w") as f:
        f.write("Metadata-Version: 2.1\\nName: {name}\\nVersion: {version}\\n")
    return os.path.basename(folder)
"""
PYPROJECT = '[build-system]\nrequires = []\nbuild-backend = "backend"\nbackend-path = ["."]\n'


def sha256(content: bytes | Path) -> str:
    return hashlib.sha256(content if isinstance(content, bytes) else content.read_bytes()).hexdigest()


def zip_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as opened:
        for name, content in members.items():
            opened.writestr(zipfile.ZipInfo(name), content)
    return buffer.getvalue()


def tar_bytes(members: dict[str, bytes]) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w:gz") as opened:
        for name, content in members.items():
            info = tarfile.TarInfo(name)
            info.size = len(content)
            opened.addfile(info, io.BytesIO(content))
    return buffer.getvalue()


def wheel(folder: Path, name: str, members: dict[str, bytes], version: str = "1.0") -> Path:
    info = f"{name}-{version}.dist-info"
    metadata = f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\nRequires-Python: >=99\n".encode()
    tag = b"Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
    members = {**members, f"{info}/METADATA": metadata, f"{info}/WHEEL": tag}
    record = "".join(
        f"{member},sha256={base64.urlsafe_b64encode(hashlib.sha256(content).digest()).rstrip(b'=').decode()},"
        f"{len(content)}\n"
        for member, content in members.items()
    )
    path = folder / f"{name}-{version}-py3-none-any.whl"
    path.write_bytes(zip_bytes({**members, f"{info}/RECORD": record.encode()}))
    return path


def sdist(folder: Path, name: str, members: dict[str, bytes], version: str = "1.0") -> Path:
    top = f"{name}-{version}"
    files = {
        "pyproject.toml": PYPROJECT.encode(),
        "backend.py": BACKEND.format(name=name, version=version).encode(),
        "PKG-INFO": f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n".encode(),
        **members,
    }
    path = folder / f"{top}.tar.gz"
    path.write_bytes(tar_bytes({f"{top}/{member}": content for member, content in files.items()}))
    return path
