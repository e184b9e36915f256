"""Opens a `.nb` file: header, then the sections of its meta version.

Layout (lite/model_parser/model_parser.cc): `u16 meta version, char[16] opt version (cut at NUL), u64 bytes of
topology, topology, parameters`.
"""

from __future__ import annotations

from pathlib import Path

from convert.nbfile.contents import NbError, NbFile, Operator, Region
from convert.nbfile.flat import Buffer
from convert.nbfile.parameters import read_combined, read_stream
from convert.nbfile.topology import read_program
from edge.base.errors import InputError
from edge.model.nb_header import LENGTH, parse_nb_header

HEADER = LENGTH + 8


def read_nb(path: Path) -> NbFile:
    """Reads a `.nb` file.

    Args:
        path: The file.

    Returns:
        Everything it holds; weights as places in the file.

    Raises:
        InputError: Not a file.
        NbError: Not a `.nb` file, of an unknown meta version, cut or damaged; with the offset.
    """
    if not path.is_file():
        raise InputError(f"{path} is not a file.", "Name a .nb file, or a model folder with a card.")
    return parse_nb(path.read_bytes(), path)


def parse_nb(content: bytes, path: Path) -> NbFile:
    """Reads the content of a `.nb` file; `path` is for messages. See `read_nb`."""
    if len(content) < HEADER:
        raise NbError(f"{path} is not a .nb file: {len(content)} bytes are fewer than its header", len(content))
    try:
        return _read(path, memoryview(content))
    except NbError as error:
        raise error.of(path) from error


def _read(path: Path, data: memoryview) -> NbFile:
    written = parse_nb_header(data)
    meta = written.meta_version
    if meta == 0 and written.opt_version:
        raise NbError(f"{path} is of meta version 0, which opt {written.opt_version} wrote and this kit does not read", 0)
    if meta not in (1, 2):
        raise NbError(f"{path} is not a .nb file, or of an unknown meta version {meta}", 0, "Known versions: 1, 2.")
    topology = int.from_bytes(data[LENGTH:HEADER], "little")
    if topology > len(data) - HEADER:
        raise NbError(f"{path} is cut short: its topology alone takes {topology} bytes, the file has {len(data)}", LENGTH)
    start = HEADER + topology
    operators, variables, blocks = read_program(Buffer(data[HEADER:start], HEADER))
    tensors, parameters = (read_stream if meta == 2 else read_combined)(data, start)
    weights = {tensor.name for tensor in tensors}
    return NbFile(
        path=path,
        size=len(data),
        meta_version=meta,
        opt_version=written.opt_version,
        regions=(Region("header", 0, HEADER), Region("topology", HEADER, topology), *parameters),
        operators=tuple(operators),
        variables=tuple(name for name in variables if name not in weights),
        tensors=tuple(tensors),
        inputs=_columns(operators, "feed", "Out"),
        outputs=_columns(operators, "fetch", "X"),
        blocks=blocks,
    )


def _columns(operators: list[Operator], kind: str, parameter: str) -> tuple[str, ...]:
    found: list[tuple[int, str]] = []
    for operator in operators:
        if operator.type == kind:
            source = operator.outputs if kind == "feed" else operator.inputs
            column = operator.attributes.get("col", 0)
            names = source.get(parameter, ())
            if names:
                found.append((column if isinstance(column, int) else 0, names[0]))
    return tuple(name for _, name in sorted(found))
