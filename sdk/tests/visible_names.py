"""Which names an installed library shows that are not of the face."""
import re
import subprocess

KINDS = re.compile(r"_Z(?:TV|TI|TS|GV)?Z?NK?7perdure2v1(?P<rest>.*)")
TYPES = ("_ZTV", "_ZTI", "_ZTS")
NAMESPACES = ("detail", "testing")


def visible(library):
    """The mangled names that others can link against."""
    listed = subprocess.run(["nm", "-g", "--defined-only", library], check=True, capture_output=True, text=True).stdout
    return [line.split()[2] for line in listed.splitlines() if len(line.split()) == 3]


def path_of(mangled):
    """Identifiers below perdure::v1, and whether the last one is a type; None when the name is of another namespace."""
    found = KINDS.match(mangled)
    if not found:
        return None
    rest, path = found["rest"], []
    while length := re.match(r"\d+", rest):
        end = length.end() + int(length[0])
        path.append(rest[length.end():end])
        rest = re.sub(r"^B5cxx11", "", rest[end:])
    is_type = mangled.startswith(TYPES) or re.match(r"(I.*E)?[CD]\d", rest) is not None or not re.match(r"[EI]", rest)
    return path, is_type


def foreign(library, headers):
    """The visible names that no public header declares, and those of classes that are only announced there."""
    text = "\n".join(header.read_text() for header in headers)
    words = set(re.findall(r"\w+", text))
    defined = set(re.findall(r"(?:class|struct)\s+(?:\[\[\w+\]\]\s+)?(\w+)(?:<[^;{}]*>)?(?=[^;{}()]*\{)", text))
    wrong = []
    for name in visible(library):
        parsed = path_of(name)
        if parsed is None:
            wrong.append(name)
            continue
        path, is_type = parsed
        types = [one for one in (path if is_type else path[:-1]) if one not in NAMESPACES]
        if not set(path) <= words | set(NAMESPACES) or not set(types) <= defined:
            wrong.append(name)
    return wrong
