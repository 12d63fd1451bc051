import pytest

from exporters.exporter import create
from exporters.tflite import TFLiteExporter
from workspace.errors import InputError


def test_ours_is_created_by_name():
    assert isinstance(create("tflite"), TFLiteExporter)


@pytest.mark.parametrize("name", ["", "coreml", "TFLite", "int8"])
def test_an_unknown_name_is_an_input_error(name):
    with pytest.raises(InputError, match=f"unknown format {name!r}; there are tflite"):
        create(name)


@pytest.mark.usefixtures("own_exporters")
@pytest.mark.parametrize("name", ["Renaming", "READY"])
def test_one_of_yours_is_created_from_a_class_or_an_object(name):
    exporter = create(f"own_exporter:{name}")
    assert type(exporter).__name__ == "Renaming"


@pytest.mark.usefixtures("own_exporters")
@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("own_exporter:NONE", "has no method export"),
        ("own_exporter:NeedsArguments", "cannot be made without arguments"),
        ("own_exporter:Missing", "Missing"),
        ("not_there:X", "not_there"),
    ],
)
def test_one_of_yours_that_is_none_is_an_input_error(name, said):
    with pytest.raises(InputError, match=said):
        create(name)
