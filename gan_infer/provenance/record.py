"""Writes a record of where a picture comes from into its file, and reads it.

The record says that the picture is generated, by which model file (name and SHA-256), from which
seeds and labels, with which truncation, and by which software. It has no names of people, no paths
and no times, so that the same call gives the same bytes. Version 1 of the format:

    PNG             a tEXt chunk under the keyword "ganforge" holds the record, one JSON object in
                    ASCII; an XMP packet beside it holds the two properties below
    WebP, GIF, JPEG the XMP packet holds the record as well, as the property `record` of the
                    namespace "urn:ganforge:provenance:1/"

    XMP             Iptc4xmpExt:DigitalSourceType = DIGITAL_SOURCE_TYPE (IPTC Photo Metadata
                    Standard: "Trained algorithmic media"), xmp:CreatorTool = software and version

    record          {"provenance": "1.0", "generated": true, "kind": "picture",
                     "model": "digits", "model_sha256": "...", "seeds": "7", "labels": ["4"],
                     "psi": 1.0, "columns": 0, "scale": 1, "software": "ganforge", "version": "..."}

    kind            "picture": one picture; "sheet": pictures in rows of `columns`, with 2 pixels
                    of value 32 between and around them; others ("walk", "edit", "models") name what
                    made them, and hold its other options in "more"; "models" shows several, of which
                    "model" is the first
    seeds           "0-2,7", in the order of the sheet, row by row
    labels          class names, or weights by name ({"4": 0.7, "9": 0.3}): none, one for all, or one
                    per seed
    conditions      other conditions by name, each a list of values like labels: {"age": [60.0]};
                    left out if there are none
    scale           how often each pixel is repeated, in both directions

A reader ignores keys that it does not know. The record of a sheet with very many pictures has
"pictures", their number, instead of seeds and labels.
"""

from __future__ import annotations

import dataclasses
import json
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any, Final

from gan_infer import arguments, files
from gan_infer.conditions.spec import MOST_SPECS, is_name
from gan_infer.errors import DataError, OptionError
from gan_infer.latent.seeds import parse_seeds
from gan_infer.provenance.xmp import NoRoomError, extract, insert
from gan_infer.text import strict
from gan_infer.version import __version__

# IPTC NewsCodes, scheme Digital Source Type: made by a model trained on sampled content.
DIGITAL_SOURCE_TYPE: Final = "http://cv.iptc.org/newscodes/digitalsourcetype/trainedAlgorithmicMedia"
KEYWORD: Final = "ganforge"
# The keys that say which pictures of which model a file shows.
WHICH: Final = ("model", "model_sha256", "seeds", "labels", "conditions")
FORMAT_VERSION: Final = "1.0"
PICTURE, SHEET = "picture", "sheet"
# Seeds and labels of more pictures than this are left out.
MAX_PICTURES: Final = 65_536
MAX_SCALE: Final = 1024
# Characters in the name of a model, a kind or a version, and in a condition's text.
MAX_WORD: Final = 1024
MAX_TEXT: Final = 65_536

Label = str | Mapping[str, float]

_NAMESPACE: Final = "urn:ganforge:provenance:1/"
_XMP: Final = (
    '<?xpacket begin="\ufeff" id="W5M0MpCehiHzreSzNTczkc9d"?>'
    '<x:xmpmeta xmlns:x="adobe:ns:meta/">'
    '<rdf:RDF xmlns:rdf="http://www.w3.org/1999/02/22-rdf-syntax-ns#">'
    '<rdf:Description rdf:about=""'
    ' xmlns:Iptc4xmpExt="http://iptc.org/std/Iptc4xmpExt/2008-02-29/"'
    ' xmlns:xmp="http://ns.adobe.com/xap/1.0/"'
    f' xmlns:ganforge="{_NAMESPACE}">'
    f"<Iptc4xmpExt:DigitalSourceType>{DIGITAL_SOURCE_TYPE}</Iptc4xmpExt:DigitalSourceType>"
    "<xmp:CreatorTool>%s</xmp:CreatorTool>"
    "%s"
    '</rdf:Description></rdf:RDF></x:xmpmeta><?xpacket end="r"?>'
)
_RECORD: Final = "<ganforge:record>%s</ganforge:record>"
# An element or, if another program rewrote the packet, an attribute.
_RECORD_IN_XMP: Final = re.compile(
    rb"<ganforge:record>([^<]*)</ganforge:record>|\sganforge:record\s*=\s*(?:\"([^\"<]*)\"|'([^'<]*)')"
)
_ENTITY: Final = re.compile(r"&(?:(amp|lt|gt|quot|apos)|#(\d{1,7})|#x([0-9a-fA-F]{1,6}));")
_ENTITIES: Final = {"amp": "&", "lt": "<", "gt": ">", "quot": '"', "apos": "'"}


@dataclasses.dataclass(frozen=True)
class Provenance:
    """What a picture file says about where it comes from.

    Attributes:
        model: the model's name.
        model_sha256: the SHA-256 of the model file, in hexadecimal.
        seeds: in layout order; empty if the record leaves them out.
        labels: one per seed, in layout order; empty for an unconditional model.
        psi: the truncation by which latents were scaled, in addition to the model's own.
        kind: PICTURE, SHEET, or what made the file.
        columns: pictures per row of a sheet; 0 for one picture.
        scale: how often each pixel is repeated, in both directions.
        more: other options of what made the file: texts, numbers, lists and objects of them.
        pictures: the number of pictures, if seeds are left out.
        version: the version of ganforge.
        conditions: name -> values, one per seed, of conditions other than labels.
    """

    model: str
    model_sha256: str
    seeds: tuple[int, ...]
    labels: tuple[Label, ...] = ()
    psi: float = 1.0
    kind: str = PICTURE
    columns: int = 0
    scale: int = 1
    more: Mapping[str, Any] = dataclasses.field(default_factory=dict)
    pictures: int = 0
    version: str = __version__
    conditions: Mapping[str, tuple[Any, ...]] = dataclasses.field(default_factory=dict)

    @property
    def complete(self) -> bool:
        """False if there were too many seeds and labels to hold."""
        return bool(self.seeds)

    def given(self) -> dict[str, Any]:
        """Return the conditions by name, as `Generator.sample` takes them, one for all or one each."""
        each = {**self.conditions, **({"label": self.labels} if self.labels else {})}
        return {name: values[0] if len(values) == 1 else list(values) for name, values in each.items()}

    def without_lists(self) -> Provenance:
        """Return the record with the number of pictures instead of seeds, labels and conditions."""
        count = self.pictures or len(self.seeds)
        return dataclasses.replace(self, seeds=(), labels=(), conditions={}, pictures=count)

    def of_one(self, index: int, seed: int) -> Provenance:
        """Return the record of one of the pictures, drawn from `seed` under its own conditions."""
        part = slice(index, index + 1)
        conditions = {name: values[part] for name, values in self.conditions.items()}
        return dataclasses.replace(self, seeds=(seed,), labels=self.labels[part], conditions=conditions)

    def to_json(self) -> str:
        """Return the record as one line of ASCII."""
        record: dict[str, Any] = {
            "provenance": FORMAT_VERSION,
            "generated": True,
            "kind": self.kind,
            "model": self.model,
            "model_sha256": self.model_sha256,
        }
        if self.seeds:
            record["seeds"] = _write_seeds(self.seeds)
            record["labels"] = _shorten(self.labels)
            if self.conditions:
                record["conditions"] = {name: _shorten(values) for name, values in self.conditions.items()}
        else:
            record["pictures"] = self.pictures
        record |= {"psi": self.psi, "columns": self.columns, "scale": self.scale}
        if self.more:
            record["more"] = dict(self.more)
        record |= {"software": "ganforge", "version": self.version}
        return json.dumps(record, separators=(",", ":"))

    @classmethod
    def from_json(cls, text: str) -> Provenance:
        """Read a record; unknown keys are ignored.

        Raises:
            DataError: it is not a record, or has a newer major version. The message is to be read
                after the name of the picture.
        """
        try:
            data = strict.read(text)
        except ValueError as error:
            raise DataError(f"carries a record of provenance that is no JSON: {str(error)[:200]}") from None
        if not isinstance(data, dict):
            raise DataError("carries a record of provenance that is no JSON object")
        version = _read_field(data, "provenance", str, "")
        if not re.fullmatch(r"1\.\d{1,6}", version, re.ASCII):
            raise DataError(
                f"carries provenance of version {version[:20]!r}, this ganforge reads {FORMAT_VERSION}; "
                "update it with: pip install --upgrade ganforge"
            )
        seeds = _read_seeds(_read_field(data, "seeds", str, ""))
        return cls(
            model=_read_word(data, "model"),
            model_sha256=_read_sha256(_read_field(data, "model_sha256", str)),
            seeds=seeds,
            labels=_read_labels(_read_field(data, "labels", list, []), len(seeds)),
            psi=_read_psi(data.get("psi", 1.0)),
            kind=_read_word(data, "kind"),
            columns=_read_number(data, "columns", 0, MAX_PICTURES),
            scale=_read_number(data, "scale", 1, MAX_SCALE),
            more=_read_field(data, "more", dict, {}),
            pictures=_read_number(data, "pictures", 0, 2**63),
            version=_read_word(data, "version", ""),
            conditions=_read_conditions(_read_field(data, "conditions", dict, {}), len(seeds)),
        )


def embed(body: bytes, provenance: Provenance) -> bytes:
    """Return a picture file's bytes with a record in them.

    Args:
        body: a PNG, WebP, GIF or JPEG file without XMP, still or animated.

    Raises:
        OptionError: it is another kind of file.
    """
    if not isinstance(body, bytes) or not isinstance(provenance, Provenance):
        raise OptionError("no bytes of a picture, or no Provenance, were given; give both")
    if len(provenance.seeds) > MAX_PICTURES:
        provenance = provenance.without_lists()
    try:
        try:
            return _insert_record(body, provenance)
        except NoRoomError:
            return _insert_record(body, provenance.without_lists())
    except ValueError as error:
        raise OptionError(f"provenance cannot be written into these bytes: {error}") from None


def attach(target: Path, provenance: Provenance) -> None:
    """Put a record into an existing picture file, whole or not at all.

    Raises:
        OptionError: the file cannot be read or written, or is not a PNG, WebP, GIF or JPEG.
    """
    target = arguments.path(target, "a picture")
    try:
        body = target.read_bytes()
    except OSError as error:
        raise OptionError(f"{target} cannot be read: {error.strerror}; give a picture's file") from None
    files.write(target, embed(body, provenance))


def read(path: Path) -> Provenance | None:
    """Return the record in a picture file, which may come from anywhere; None if it has none.

    Raises:
        DataError: the file cannot be read, or its record is damaged.
    """
    path = arguments.path(path, "a picture")
    try:
        if not path.is_file():  # to open a pipe would wait for ever
            raise DataError("is no file" if path.exists() else "is not there")
        with path.open("rb") as file:
            found = extract(file, KEYWORD)
        text = found.text if found.text is not None else _find_in_xmp(found.xmp or b"")
        return None if text is None else Provenance.from_json(_decode(text))
    except DataError as error:
        raise DataError(f"{path} {error}") from None
    except (OSError, ValueError) as error:
        reason = getattr(error, "strerror", None) or error
        raise DataError(f"{path} cannot be read: {reason}; give a picture that you may read") from None


def packet(provenance: Provenance, *, with_record: bool) -> str:
    """Return the XMP packet of a picture."""
    tool = _escape(f"ganforge {provenance.version}")
    return _XMP % (tool, _RECORD % _escape(provenance.to_json()) if with_record else "")


def records_in(xmp: bytes) -> list[bytes]:
    """Return the records in an XMP packet, as JSON; there should be one, but can be any number."""
    return [_unescape(match) for match in _RECORD_IN_XMP.finditer(xmp)]


def without_records(xmp: bytes) -> bytes:
    """Return an XMP packet without its records."""
    return _RECORD_IN_XMP.sub(b"", xmp)


def _insert_record(body: bytes, provenance: Provenance) -> bytes:
    if body.startswith(b"\x89PNG"):
        xmp = packet(provenance, with_record=False).encode()
        return insert(body, xmp, KEYWORD, provenance.to_json().encode("ascii"))
    return insert(body, packet(provenance, with_record=True).encode())


def _find_in_xmp(packet_: bytes) -> bytes | None:
    """Find the record without an XML parser, so that entities cannot do harm."""
    match = _RECORD_IN_XMP.search(packet_)
    return None if match is None else _unescape(match)


def _unescape(match: re.Match[bytes]) -> bytes:
    text = next(group for group in match.groups() if group is not None)
    return _ENTITY.sub(_decode_entity, _decode(text)).encode()


def _decode_entity(match: re.Match[str]) -> str:
    if match[1]:
        return _ENTITIES[match[1]]
    code = int(match[2]) if match[2] else int(match[3], 16)
    return chr(code) if code < 0x110000 and not 0xD800 <= code < 0xE000 else ""


def _decode(text: bytes) -> str:
    try:
        return text.decode()
    except UnicodeDecodeError:
        raise DataError("carries a record of provenance that is no text") from None


def _escape(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")


def _write_seeds(seeds: tuple[int, ...]) -> str:
    """Return seeds as text: "0-2,7"."""
    runs: list[list[int]] = []
    for seed in seeds:
        if runs and seed == runs[-1][1] + 1:
            runs[-1][1] = seed
        else:
            runs.append([seed, seed])
    return ",".join(str(first) if first == last else f"{first}-{last}" for first, last in runs)


def _read_seeds(text: str) -> tuple[int, ...]:
    try:
        return tuple(parse_seeds(text, MAX_PICTURES)) if text else ()
    except Exception as error:
        raise DataError(f"carries provenance with unusable seeds: {str(error)[:200]}") from None


def _read_labels(items: list[Any], count: int) -> tuple[Label, ...]:
    if len(items) not in {0, 1, count}:
        raise DataError(f"carries provenance with {len(items)} labels for {count} seeds")
    for item in items:
        mix = isinstance(item, dict) and all(
            type(weight) in (int, float) and weight >= 0 for weight in item.values()
        )
        if not mix and not isinstance(item, str):
            raise DataError(f"carries provenance with the label {str(item)[:40]!r}, which is none")
    return tuple(items * count if len(items) == 1 else items)


def _read_conditions(items: dict[str, Any], count: int) -> dict[str, tuple[Any, ...]]:
    if len(items) > MOST_SPECS or not all(map(is_name, items)):
        raise DataError(f"carries provenance with the conditions {str(list(items))[:40]}; expected names")
    found: dict[str, tuple[Any, ...]] = {}
    for name, values in items.items():
        if not isinstance(values, list) or len(values) not in {1, count} or not all(map(_is_value, values)):
            raise DataError(
                f"carries provenance with {str(values)[:40]!r} for {name}; expected one value per seed"
            )
        found[name] = tuple(values * count if len(values) == 1 else values)
    return found


def _is_value(value: object) -> bool:
    """Return whether a value is a text, a number, or an object of numbers."""
    if isinstance(value, str):
        return len(value) <= MAX_TEXT
    each = value.values() if isinstance(value, dict) else [value]
    return all(type(item) in (int, float) for item in each)


def _shorten(values: Sequence[Any]) -> list[Any]:
    """Return the values; only the first if all are equal."""
    alike = len(values) > 1 and all(value == values[0] for value in values)
    return list(values[:1] if alike else values)


def _read_psi(value: Any) -> float:
    if type(value) not in (int, float) or not 0 <= value <= 2:
        raise DataError(f"carries provenance with psi {str(value)[:40]}; expected 0 to 2")
    return float(value)


def _read_sha256(text: str) -> str:
    if not re.fullmatch(r"[0-9a-f]{64}", text, re.ASCII):
        raise DataError("carries provenance without the SHA-256 of a model")
    return text


def _read_number(data: Mapping[str, Any], name: str, low: int, high: int) -> int:
    value = data.get(name, low)
    if type(value) is not int or not low <= value <= high:
        raise DataError(f"carries provenance with {name} {str(value)[:40]}; expected {low} to {high}")
    return value


def _read_word(data: Mapping[str, Any], name: str, default: str | None = None) -> str:
    text: str = _read_field(data, name, str, default)
    if len(text) > MAX_WORD:
        raise DataError(f"carries provenance with {len(text):,} characters for {name}; expected {MAX_WORD}")
    return text


def _read_field(data: Mapping[str, Any], name: str, kind: type, default: Any = None) -> Any:
    value = data.get(name, default)
    if not isinstance(value, kind):
        raise DataError(f"carries provenance with {str(value)[:40]!r} for {name}")
    return value
