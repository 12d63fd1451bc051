import pytest

from search_space.chain import ChainArchitecture, Op, Skip, Stage, Stem
from training.executor import TrainingJob
from training.schedule import Schedule


@pytest.fixture
def job():
    """A network of some hundred weights, trained for a moment on the digits."""
    stages = (
        Stage(op=Op.CONV, kernel=3, stride=2, expansion=1, filters=8, repeats=1, skip=Skip.NONE),
    )
    architecture = ChainArchitecture(
        size=16, channels=1, stem=Stem(filters=8), stages=stages, head_filters=16, dropout=0.0
    )
    return TrainingJob(
        id="tiny",
        architecture=architecture,
        task="digits",
        schedule=Schedule(samples=640, batch=32, learning_rate=0.02),
        seed=0,
        deadline_s=60.0,
    )
