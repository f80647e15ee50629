"""C2PA: with certificates made here, since none may lie in the project."""

from __future__ import annotations

import datetime
import io
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image

from gan_infer import Generator, OptionError, cli
from gan_infer.apps import verification
from gan_infer.outputs.image import encode, save
from gan_infer.provenance.c2pa import Signer
from gan_infer.provenance.record import DIGITAL_SOURCE_TYPE
from tests.conftest import CONDITIONAL, CommandLine, Kind

c2pa = pytest.importorskip("c2pa")

from cryptography import x509  # noqa: E402
from cryptography.hazmat.primitives import hashes, serialization  # noqa: E402
from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa  # noqa: E402
from cryptography.x509.oid import ExtendedKeyUsageOID, NameOID  # noqa: E402

KEYS: dict[str, Callable[[], Any]] = {
    "P-256": lambda: ec.generate_private_key(ec.SECP256R1()),
    "P-384": lambda: ec.generate_private_key(ec.SECP384R1()),
    "Ed25519": ed25519.Ed25519PrivateKey.generate,
    "RSA": lambda: rsa.generate_private_key(65537, 2048),
}


def name(text: str) -> x509.Name:
    return x509.Name(
        [x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Test"), x509.NameAttribute(NameOID.COMMON_NAME, text)]
    )


def certify(folder: Path, kind: str = "P-256") -> tuple[Path, Path]:
    """Write a key and its certificate, by an issuer of its own; give their paths."""
    folder.mkdir(exist_ok=True)
    root, key = ec.generate_private_key(ec.SECP256R1()), KEYS[kind]()
    now = datetime.datetime.now(datetime.UTC)

    def build(subject: str, public: Any, authority: bool) -> x509.Certificate:
        builder = (
            x509.CertificateBuilder()
            .subject_name(name(subject))
            .issuer_name(name("issuer"))
            .public_key(public)
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - datetime.timedelta(days=1))
            .not_valid_after(now + datetime.timedelta(days=30))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .add_extension(
                x509.KeyUsage(not authority, False, False, False, False, authority, authority, False, False),
                True,
            )
            .add_extension(x509.SubjectKeyIdentifier.from_public_key(public), False)
            .add_extension(x509.AuthorityKeyIdentifier.from_issuer_public_key(root.public_key()), False)
        )
        if not authority:
            builder = builder.add_extension(
                x509.ExtendedKeyUsage([ExtendedKeyUsageOID.EMAIL_PROTECTION]), critical=True
            )
        return builder.sign(root, hashes.SHA256())

    chain = [build("signer", key.public_key(), False), build("issuer", root.public_key(), True)]
    pem = serialization.Encoding.PEM
    (folder / "chain.pem").write_bytes(b"".join(one.public_bytes(pem) for one in chain))
    (folder / "key.pem").write_bytes(
        key.private_bytes(pem, serialization.PrivateFormat.PKCS8, serialization.NoEncryption())
    )
    return folder / "chain.pem", folder / "key.pem"


def manifest(path: Path) -> dict[str, Any]:
    """Read the manifest that stands in a file, by the library."""
    with c2pa.Reader(path.suffix[1:].replace("jpg", "jpeg"), io.BytesIO(path.read_bytes())) as reader:
        store: dict[str, Any] = json.loads(reader.json())
    return store


@pytest.mark.parametrize("kind", KEYS)
def test_keys_of_every_kind_sign(kind: str, tmp_path: Path) -> None:
    sign = Signer(*certify(tmp_path, kind))
    path = tmp_path / "x.png"
    save(np.zeros((9, 7, 3), np.uint8), path, sign=sign)
    assert manifest(path)["validation_state"] in ("Valid", "Trusted")


@pytest.mark.parametrize("ending", ["png", "jpg", "webp", "gif"])
def test_a_signed_file_says_that_a_model_made_it(ending: str, conditional: Generator, tmp_path: Path) -> None:
    sign = Signer(*certify(tmp_path))
    path, picture = tmp_path / f"x.{ending}", conditional.sample(1, label=2, seed=3)[0]
    save(picture, path, conditional.provenance(3, 2), sign)
    store = manifest(path)
    assert store["validation_state"] in ("Valid", "Trusted")
    actions = [
        assertion["data"]["actions"]
        for assertion in store["manifests"][store["active_manifest"]]["assertions"]
        if assertion["label"].startswith("c2pa.actions")
    ]
    assert actions[0][0]["digitalSourceType"] == DIGITAL_SOURCE_TYPE
    assert verification.verify(path, conditional).result == verification.SAME


def test_a_changed_file_is_found_out(tmp_path: Path) -> None:
    path = tmp_path / "x.png"
    save(np.zeros((9, 7, 3), np.uint8), path, sign=Signer(*certify(tmp_path)))
    other = encode(np.full((9, 7, 3), 9, np.uint8), "PNG")
    body, start = path.read_bytes(), other.index(b"IDAT") - 4
    mine = body.index(b"IDAT") - 4
    path.write_bytes(body[:mine] + other[start:])
    with Image.open(path) as image:
        assert image.getpixel((0, 0)) == (9, 9, 9)
    assert manifest(path)["validation_state"] == "Invalid"


def test_commands_sign(command_line: CommandLine, model_file: Callable[[Kind], Path], tmp_path: Path) -> None:
    run, pair = command_line("gan-infer", cli.main), certify(tmp_path / "pair")
    model = ("--model", model_file(CONDITIONAL), "--label", 1)
    assert run("grid", *model, "--sign", *pair, "--to", "x.webp")[0] == 0
    assert run("sample", 2, *model, "--sign", *pair, "--to", "some")[0] == 0
    for path in (Path("x.webp"), *Path("some").iterdir()):
        assert manifest(path)["validation_state"] in ("Valid", "Trusted")


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ("missing", "cannot be read"),
        ("no key", "no private key in PEM form"),
        ("swapped", "no private key in PEM form"),
        ("other key", "cannot be used to sign"),
        ("odd curve", "of a kind that C2PA does not take"),
    ],
)
def test_what_cannot_sign_is_told(change: str, said: str, tmp_path: Path) -> None:
    chain, key = certify(tmp_path)
    if change == "missing":
        chain = tmp_path / "none.pem"
    elif change == "no key":
        key.write_text("no key")
    elif change == "swapped":
        chain, key = key, chain
    elif change == "other key":
        key = certify(tmp_path / "other")[1]
    elif change == "odd curve":
        pem, form = serialization.Encoding.PEM, serialization.PrivateFormat.PKCS8
        odd = ec.generate_private_key(ec.SECP256K1())
        key.write_bytes(odd.private_bytes(pem, form, serialization.NoEncryption()))
    with pytest.raises(OptionError, match=said) as raised:
        Signer(chain, key)(encode(np.zeros((9, 7, 3), np.uint8), "PNG"), "PNG")
    assert "\n" not in str(raised.value)


def test_without_the_extra_it_says_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(__import__("sys").modules, "c2pa", None)
    with pytest.raises(OptionError, match=r"pip install 'ganforge\[c2pa\]'"):
        Signer(*certify(tmp_path))
