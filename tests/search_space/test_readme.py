import doctest
from pathlib import Path


def test_the_examples_of_the_readme_run():
    readme = Path(__file__).parents[2] / "search_space" / "README.md"
    done = doctest.testfile(str(readme), module_relative=False)
    assert done.attempted >= 4
    assert done.failed == 0
