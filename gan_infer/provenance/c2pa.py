"""C2PA content credentials: signs picture files with a certificate.

A signature says who vouches for the file, which the record of `provenance` cannot say. It needs the
extra `c2pa` (the library of the Content Authenticity Initiative) and your own certificate for signing;
others trust it if they trust its issuer. It works offline, without a time stamp. A signed file is
about 3 kB larger and has its own identifier, so that two are never equal byte for byte.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import Any, Final

from gan_infer import arguments
from gan_infer.errors import OptionError
from gan_infer.provenance.record import DIGITAL_SOURCE_TYPE
from gan_infer.text.escaping import one_line
from gan_infer.version import __version__

_MIMES: Final = {"PNG": "image/png", "WEBP": "image/webp", "GIF": "image/gif", "JPEG": "image/jpeg"}
_CURVES: Final = {"secp256r1": "es256", "secp384r1": "es384", "secp521r1": "es512"}
_MANIFEST: Final = {"claim_generator_info": [{"name": "ganforge", "version": __version__}]}
_ACTION: Final = {"action": "c2pa.created", "digitalSourceType": DIGITAL_SOURCE_TYPE}


class Signer:
    """Signs the bytes of picture files with one certificate; one call at a time."""

    def __init__(self, certificates: Path, key: Path) -> None:
        """Read a certificate and its key.

        Args:
            certificates: PEM, first the signer's, then those of its issuers.
            key: PEM, PKCS #8 without a password: an elliptic curve (P-256, P-384, P-521), RSA (used
                as PS256) or Ed25519.

        Raises:
            OptionError: the extra `c2pa` is missing, a file cannot be read, or the key is of another
                kind.
        """
        c2pa = _import_library()
        chain, secret = _read(certificates, "certificate"), _read(key, "key")
        self._context = c2pa.Context(c2pa.Settings.from_dict({"builder": {"thumbnail": {"enabled": False}}}))
        self._c2pa = c2pa
        try:
            info = c2pa.C2paSignerInfo(
                alg=_choose_algorithm(secret, key), sign_cert=chain, private_key=secret, ta_url=None
            )
            self._signer = c2pa.Signer.from_info(info)
        except c2pa.C2paError as error:
            raise OptionError(_describe_failure(certificates, key, error)) from None
        self._files = (certificates, key)

    def __call__(self, body: bytes, kind: str) -> bytes:
        """Return a picture file's bytes with a signed manifest, which says that a trained model created it.

        Args:
            body: the whole file, which must not change after signing.
            kind: "PNG", "WEBP", "GIF" or "JPEG".

        Raises:
            OptionError: the certificate cannot be used to sign.
        """
        signed = io.BytesIO()
        try:
            with self._c2pa.Builder(json.dumps(_MANIFEST), self._context) as builder:
                builder.add_action(_ACTION)
                builder.sign(self._signer, _MIMES[kind], io.BytesIO(body), signed)
        except self._c2pa.C2paError as error:
            raise OptionError(_describe_failure(*self._files, error)) from None
        return signed.getvalue()


def _import_library() -> Any:
    try:
        import c2pa
    except ImportError:
        raise OptionError(
            "signing needs the package c2pa-python, not installed here; install it with: "
            "pip install 'ganforge[c2pa]'"
        ) from None
    return c2pa


def _choose_algorithm(key: bytes, path: Path) -> str:
    """Return the name in C2PA of the signature algorithm for a key."""
    from cryptography.hazmat.primitives import serialization  # comes with c2pa-python
    from cryptography.hazmat.primitives.asymmetric import ec, ed25519, rsa

    try:
        loaded = serialization.load_pem_private_key(key, None)
    except (TypeError, ValueError):
        raise OptionError(
            f"{path} holds no private key in PEM form without a password; give one that does"
        ) from None
    if isinstance(loaded, ec.EllipticCurvePrivateKey) and loaded.curve.name in _CURVES:
        return _CURVES[loaded.curve.name]
    if isinstance(loaded, rsa.RSAPrivateKey):
        return "ps256"
    if isinstance(loaded, ed25519.Ed25519PrivateKey):
        return "ed25519"
    raise OptionError(f"{path} holds a key of a kind that C2PA does not take; give P-256, RSA or Ed25519")


def _read(path: Path, what: str) -> bytes:
    path = arguments.path(path, f"the {what}")
    try:
        return path.read_bytes()
    except OSError as error:
        raise OptionError(
            f"the {what} {path} cannot be read: {error.strerror}; give a file that you may read"
        ) from None


def _describe_failure(certificates: Path, key: Path, error: Exception) -> str:
    reason = one_line(error)
    return (
        f"{certificates} and {key} cannot be used to sign ({reason}); C2PA takes a certificate that an "
        "issuer signed, for digital signatures, with the extended use emailProtection or documentSigning"
    )
