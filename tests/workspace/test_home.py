from pathlib import Path

from workspace.home import home


def test_the_variable_decides(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "shared"))
    assert home() == tmp_path / "shared"


def test_a_tilde_is_the_users_folder(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POCKETNAS_HOME", "~/lab")
    assert home() == tmp_path / "lab"


def test_a_relative_one_is_made_absolute(monkeypatch, tmp_path):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("POCKETNAS_HOME", "here")
    assert home() == Path.cwd() / "here"


def test_without_it_the_data_folder_of_xdg_is_used(monkeypatch, tmp_path):
    monkeypatch.delenv("POCKETNAS_HOME", raising=False)
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path / "data"))
    assert home() == tmp_path / "data" / "pocketnas"


def test_without_anything_it_lies_in_the_users_share(monkeypatch, tmp_path):
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.setenv("POCKETNAS_HOME", "")
    monkeypatch.setenv("XDG_DATA_HOME", "")
    assert home() == tmp_path / ".local" / "share" / "pocketnas"


def test_asking_creates_nothing(monkeypatch, tmp_path):
    monkeypatch.setenv("POCKETNAS_HOME", str(tmp_path / "shared"))
    home()
    assert not (tmp_path / "shared").exists()
