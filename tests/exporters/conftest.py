import sys

import pytest


@pytest.fixture(autouse=True)
def one_torch_thread():
    """Small networks are slower on more; and other tests run beside these."""
    torch = sys.modules.get("torch")
    if torch is None:
        yield
        return
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
