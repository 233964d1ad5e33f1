"""What may lie at a path that is to be read as rules, besides a file with rules."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from proxy.rulebook import load
from rules.problems import RulesError
from rules.reading import source
from rules.reading.nodes import LARGEST_FILE

HEAD = "version: 1\nservices:\n  a: {url: http://127.0.0.1:1}\nlegacy: a\n"
ROUTES = "routes:\n  - {name: %s, match: {path: /%s}, candidate: a}\n"


def problems_of(path: Path, folder: Path) -> list[str]:
    with pytest.raises(RulesError) as caught:
        load(path, {})
    return [str(problem).replace(f"{folder}/", "") for problem in caught.value.problems]


def test_a_folder_that_is_too_large_as_a_whole_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "a.yaml").write_text(HEAD)
    for name in "bcd":
        (tmp_path / f"{name}.yaml").write_text(ROUTES % (name, name))
    monkeypatch.setattr(source, "LARGEST_FOLDER", 2 * len(HEAD))

    (problem,) = problems_of(tmp_path, tmp_path)

    assert problem.startswith("c.yaml:1:1: ")
    assert "together" in problem


def test_a_pipe_is_refused_and_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "fig.yaml")
    (problem,) = problems_of(tmp_path / "fig.yaml", tmp_path)
    assert problem == "fig.yaml:1:1: cannot be read: it is no regular file, but a folder, a device or a pipe"


def test_an_endless_device_is_refused_also_through_a_link(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").symlink_to("/dev/zero")
    (problem,) = problems_of(tmp_path / "fig.yaml", tmp_path)
    assert problem.startswith("fig.yaml:1:1: cannot be read: it is no regular file")


def test_a_file_over_64_mb_is_refused_also_through_a_link(tmp_path: Path) -> None:
    with (tmp_path / "large").open("wb") as file:
        file.truncate(LARGEST_FILE + 1)
    (tmp_path / "fig.yaml").symlink_to("large")
    (problem,) = problems_of(tmp_path / "fig.yaml", tmp_path)
    assert problem == "fig.yaml:1:1: the file is larger than 64 MB; split it into a folder"


def test_a_link_that_leads_nowhere_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").symlink_to("gone")
    (problem,) = problems_of(tmp_path, tmp_path)
    assert problem == "fig.yaml:1:1: cannot be read: No such file or directory (a symbolic link that leads nowhere)"


def test_a_folder_where_a_file_is_expected_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD)
    (tmp_path / "x.yaml").mkdir()
    (problem,) = problems_of(tmp_path, tmp_path)
    assert problem.startswith("x.yaml:1:1: cannot be read: it is no regular file, but a folder")


@pytest.mark.skipif(os.geteuid() == 0, reason="nothing is unreadable to root")
def test_a_file_without_permission_is_a_problem(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD)
    (tmp_path / "fig.yaml").chmod(0)
    assert problems_of(tmp_path, tmp_path) == ["fig.yaml:1:1: cannot be read: Permission denied"]


def test_files_that_editors_leave_behind_are_not_read(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD)
    (tmp_path / ".#fig.yaml").symlink_to("somebody@somewhere")
    (tmp_path / "fig.yaml~").write_text("nonsense")
    assert load(tmp_path, {}).rules.legacy == "a"


def test_a_mounted_folder_of_links_is_read(tmp_path: Path) -> None:
    """As Kubernetes mounts a ConfigMap."""
    (tmp_path / "..2026").mkdir()
    (tmp_path / "..2026" / "fig.yaml").write_text(HEAD)
    (tmp_path / "..data").symlink_to("..2026")
    (tmp_path / "fig.yaml").symlink_to("..data/fig.yaml")
    assert load(tmp_path, {}).rules.legacy == "a"


def test_a_byte_order_mark_is_no_problem(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_bytes(b"\xef\xbb\xbf" + HEAD.encode())
    assert load(tmp_path, {}).rules.legacy == "a"


def test_other_encodings_are_refused_at_their_first_byte(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_bytes(HEAD.encode("utf-16"))
    assert problems_of(tmp_path, tmp_path) == ["fig.yaml:1:1: not UTF-8 text; save the file as UTF-8"]


def test_the_other_files_of_a_folder_are_checked_when_one_cannot_be_read(tmp_path: Path) -> None:
    """What the broken one may define is not missed: neither the services nor the version."""
    (tmp_path / "fig.yaml").write_text("version: 1\nservices: {a: [\n")
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / "a.yaml").write_text(ROUTES % ("r", "a"))
    (tmp_path / "routes" / "b.yaml").write_text((ROUTES % ("r", "b**")).replace("candidate: a", "candidat: a"))
    assert problems_of(tmp_path, tmp_path) == [
        "fig.yaml:3:1: not YAML: did not find expected node content while parsing a flow node; "
        "nothing after this place was checked",
        "routes/b.yaml:2:12: duplicate route name 'r' (first at routes/a.yaml:2:12); give each route its own",
        "routes/b.yaml:2:29: route 'r': 'path': in 'b**': '*' and '{name}' stand for a whole segment, "
        "and a name is letters, digits and _",
        "routes/b.yaml:2:36: route 'r': unknown key 'candidat'; did you mean 'candidate'?",
    ]


def test_what_precedes_a_syntax_error_is_checked_too(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(
        HEAD
        + "routes:\n  - {name: one, match: {path: x}, candidate: b}\n"
        + "  - {name: two, match: {path: /a/{id}}}\n  - {name: three}\n"
    )
    found = problems_of(tmp_path / "fig.yaml", tmp_path)
    assert [problem.split(": ")[0] for problem in found] == ["fig.yaml:6:31", "fig.yaml:7:34"]
    assert found[1].endswith("a path with braces needs quotes here; nothing after this place was checked")


def test_each_name_is_defined_in_one_file_of_a_folder(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD)
    (tmp_path / "more.yaml").write_text("services:\n  a: {url: http://127.0.0.1:2}\n  b: {url: http://127.0.0.1:3}\n")
    assert problems_of(tmp_path, tmp_path) == [
        "more.yaml:2:3: duplicate key 'a' (first at fig.yaml:3:3); remove one of them"
    ]


def test_the_routes_of_many_files_follow_one_another_in_the_order_of_names(tmp_path: Path) -> None:
    (tmp_path / "fig.yaml").write_text(HEAD)
    (tmp_path / "routes").mkdir()
    names = [f"r{number:03}" for number in range(60)]
    for name in reversed(names):
        (tmp_path / "routes" / f"{name}.yaml").write_text(ROUTES % (name, name))
    assert [route.name for route in load(tmp_path, {}).rules.routes] == names
