import torch

from training.order import Order


def order(seed=0, count=10):
    return Order(count, torch.Generator().manual_seed(seed))


def test_every_epoch_has_every_example_once_in_an_order_of_its_own():
    made = order(count=12)
    epochs = [torch.cat([made.take(4) for _ in range(3)]).tolist() for _ in range(2)]
    assert [sorted(epoch) for epoch in epochs] == [list(range(12))] * 2
    assert epochs[0] != epochs[1]


def test_what_makes_no_whole_batch_is_left_out():
    made = order()
    seen = torch.cat([made.take(4), made.take(4)])
    assert len(set(seen.tolist())) == 8
    made.take(4)
    assert made.position == 4


def test_the_batch_may_change_on_the_way():
    made = order()
    assert len(set(torch.cat([made.take(3), made.take(7)]).tolist())) == 10


def test_more_than_there_is_is_all_of_it():
    assert sorted(order().take(99).tolist()) == list(range(10))


def test_it_says_what_comes_next_and_draws_nothing_for_it():
    made, other = order(), order()
    made.take(3)
    other.take(3)
    first, second = made.coming(3, 5)
    assert torch.equal(first, other.take(3))
    assert torch.equal(second, other.take(3))
    assert torch.equal(made.take(3), first)
    assert order().coming(3, 5) == ()


def test_it_can_be_put_where_another_was():
    generator = torch.Generator().manual_seed(1)
    made = Order(10, generator)
    for _ in range(5):
        made.take(4)
        torch.rand(3, generator=generator)
    state = generator.get_state()
    again = torch.Generator().manual_seed(9)
    placed = Order(10, again)
    placed.go_to(made.before, made.position)
    again.set_state(state)
    for _ in range(4):
        assert torch.equal(made.take(3), placed.take(3))
