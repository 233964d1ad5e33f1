from __future__ import annotations

import os
from pathlib import Path

from typer.testing import CliRunner

from proxy.cli import app

run = CliRunner().invoke
LOOSE = "legacy: a\nversion: 1  # one\nservices:\n    a: {url: http://a:1}\n"
NEAT = "version: 1  # one\nservices:\n  a: {url: http://a:1}\nlegacy: a\n"


def test_a_file_is_written_once_and_then_left_alone(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text(LOOSE)
    file.chmod(0o640)

    first = run(app, ["rules", "fmt", str(file)])

    assert (first.exit_code, first.stdout) == (0, f"changed {file}\n")
    assert file.read_text() == NEAT
    assert file.stat().st_mode & 0o777 == 0o640
    assert [each.name for each in tmp_path.iterdir()] == ["fig.yaml"]
    assert run(app, ["rules", "fmt", str(file)]).stdout == ""


def test_check_names_the_files_that_would_change_and_writes_none(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text(NEAT)
    (tmp_path / "routes").mkdir()
    (tmp_path / "routes" / "b.yaml").write_text(LOOSE)

    result = run(app, ["rules", "fmt", "--check", str(tmp_path)])

    assert (result.exit_code, result.stdout) == (1, f"would change {tmp_path}/routes/b.yaml\n")
    assert (tmp_path / "routes" / "b.yaml").read_text() == LOOSE
    (tmp_path / "routes" / "b.yaml").unlink()
    assert run(app, ["rules", "fmt", "--check", str(tmp_path)]).exit_code == 0


def test_diff_prints_what_would_change_and_writes_nothing(tmp_path: Path) -> None:
    file = tmp_path / "fig.yaml"
    file.write_text(LOOSE)
    result = run(app, ["rules", "fmt", "--diff", str(file)])
    assert result.exit_code == 0
    assert result.stdout.splitlines()[:4] == [f"--- {file}", f"+++ {file} (canonical)", "@@ -1,4 +1,4 @@", "-legacy: a"]
    assert file.read_text() == LOOSE
    assert run(app, ["rules", "fmt", "--diff", "--check", str(file)]).exit_code == 1


def test_what_cannot_be_read_exits_2_and_keeps_nobody_else_from_being_written(tmp_path: Path) -> None:
    (tmp_path / "a.yaml").write_text("version: [1\n")
    (tmp_path / "b.yaml").write_text(LOOSE)

    result = run(app, ["rules", "fmt", str(tmp_path)])

    assert result.exit_code == 2
    assert result.stderr.startswith(f"{tmp_path}/a.yaml:2:1: not YAML")
    assert (tmp_path / "a.yaml").read_text() == "version: [1\n"
    assert (tmp_path / "b.yaml").read_text() == NEAT


def test_a_link_still_leads_to_the_file_that_was_written(tmp_path: Path) -> None:
    (tmp_path / "real.yaml").write_text(LOOSE)
    link = tmp_path / "fig.yaml"
    link.symlink_to("real.yaml")
    assert run(app, ["rules", "fmt", str(link)]).exit_code == 0
    assert link.is_symlink()
    assert (tmp_path / "real.yaml").read_text() == NEAT


def test_what_is_no_file_is_refused_and_nothing_hangs(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe.yaml")
    for path, why in (("pipe.yaml", "it is no regular file"), ("missing.yaml", "No such file or directory")):
        result = run(app, ["rules", "fmt", str(tmp_path / path)])
        assert result.exit_code == 2
        assert why in result.stderr
    (tmp_path / "empty").mkdir()
    assert run(app, ["rules", "fmt", str(tmp_path / "empty")]).exit_code == 2


def test_without_a_path_the_file_of_the_environment_is_meant(tmp_path: Path) -> None:
    file = tmp_path / "shop.yaml"
    file.write_text(LOOSE)
    assert run(app, ["rules", "fmt"], env={"FIG_CONFIG": str(file)}).stdout == f"changed {file}\n"
