"""What a daemon knows of the installed files: that they changed, that they start, and all that a pass imports."""

from scanner_mover.commands import installed


def test_a_fingerprint_changes_with_a_file_and_with_nothing_else(tmp_path, monkeypatch):
    monkeypatch.setattr(installed, "_FOLDER", str(tmp_path))
    (tmp_path / "module.py").write_text("1")
    (tmp_path / "__pycache__").mkdir()
    first = installed.fingerprint()
    (tmp_path / "__pycache__" / "module.pyc").write_text("compiled")
    (tmp_path / "module.py").read_text()
    assert installed.fingerprint() == first != frozenset()
    (tmp_path / "templates").mkdir()
    (tmp_path / "templates" / "find.dump").write_text("1")
    second = installed.fingerprint()
    assert second != first
    (tmp_path / "part").write_text("1")
    (tmp_path / "part").replace(tmp_path / "module.py")
    assert installed.fingerprint() != second, "a file of the same size in its place"
    (tmp_path / "module.py").unlink()
    assert len(installed.fingerprint()) == 1
