"""Parses PowerShell scripts and looks for what its own analyser warns of. Prints "FILE:LINE: FINDING" for each finding."""

import re
import sys

import tree_sitter_powershell
from tree_sitter import Language, Parser

# What PSScriptAnalyzer calls AvoidUsingCmdletAliases; a program of the same name may be meant on another system.
ALIASES = set(
    "% ? cat cd clc cls copy cp curl cpi del diff dir echo erase fc fl foreach ft gc gci gi gp gsv gv h history iex ii ipmo irm iwr "
    "kill ls man md measure mi mkdir mount move mp mv ni ps pwd rd ren ri rm rmdir rp saps sasv sc select set sleep sls sort sp "
    "spsv start tee type wget where write".split()
)
# Variables that PowerShell brings along.
GIVEN = set(
    "_ args error erroractionpreference executioncontext false home host input lastexitcode matches myinvocation null pid "
    "profile progresspreference psboundparameters pscmdlet pscommandpath psscriptroot psversiontable pwd true verbosepreference warningpreference".split()
)
parser = Parser(Language(tree_sitter_powershell.language()))


def nodes(node):
    yield node
    for child in node.children:
        yield from nodes(child)


def text(node):
    return node.text.decode("utf-8", "replace")


def faults(node):
    """Where the grammar broke, innermost first: an error around the whole script says nothing."""
    if node.is_missing:
        yield node, f"{node.type} is missing"
        return
    inner = [f for child in node.children if child.has_error or child.is_missing for f in faults(child)]
    yield from inner
    if node.type == "ERROR" and not inner:
        yield node, f"not PowerShell: {text(node)[:60]!r}"


def name(variable):
    """The variable's name in small letters, "" for one of another drive such as $env:PATH."""
    found = re.fullmatch(r"\$\{?(?:script:|global:|local:)?(\w+)\}?", text(variable), re.ASCII)
    return found.group(1).lower() if found else ""


def target(assignment):
    """The variable that an assignment sets whole; None for a property or an element."""
    left = assignment.children[0]
    while left.named_child_count == 1 and left.type != "variable":
        left = left.named_children[0]
    return left if left.type == "variable" else None


def variables(root):
    set_in, used_in = {}, {}
    places = set()
    for node in nodes(root):
        variable = None
        if node.type == "assignment_expression" and text(node.children[1]).strip() == "=":
            variable = target(node)
        elif node.type in ("script_parameter", "foreach_statement"):
            variable = next((c for c in node.children if c.type == "variable"), None)
        if variable is not None and name(variable):
            places.add(variable.start_byte)
            set_in.setdefault(name(variable), variable)
    for node in nodes(root):
        if node.type == "variable" and node.start_byte not in places and name(node):
            used_in.setdefault(name(node), node)
    for word, node in used_in.items():
        if word not in set_in and word not in GIVEN:
            yield node, f"${word} is used and never set"
    for word, node in set_in.items():
        if word not in used_in and word not in GIVEN:
            yield node, f"${word} is set and never used"


def manners(root):
    for node in nodes(root):
        if node.type == "command_name" and text(node).lower() in ALIASES:
            yield node, f"{text(node)} is an alias: write the command's own name"
        elif node.type == "command_name" and text(node).lower() == "invoke-expression":
            yield node, "Invoke-Expression runs what others may have written"
        elif node.type == "catch_clause" and not any(n.type == "statement_list" for n in nodes(node)):
            yield node, "a fault is caught and forgotten"
        elif node.type == "comparison_operator" and node.next_sibling is not None and text(node.next_sibling).lower() == "$null":
            yield node, "$null belongs on the left: on the right a list is searched for it"


def findings(source):
    root = parser.parse(source).root_node
    broken = list(faults(root))
    return broken or sorted([*manners(root), *variables(root)], key=lambda f: f[0].start_point)


def main(paths):
    for path in paths:
        with open(path, "rb") as file:
            source = file.read()
        # A cloud's user data wraps a script; its lines stay where they are.
        source = re.sub(rb"^</?powershell>", b"", source, flags=re.MULTILINE)
        for node, what in findings(source):
            print(f"{path}:{node.start_point[0] + 1}: {what}")


main(sys.argv[1:])
