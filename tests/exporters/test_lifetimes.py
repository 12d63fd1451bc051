from exporters.lifetimes import Execution, peak


def test_what_nobody_reads_dies_at_once():
    order = [Execution(read=(0,), made=(1,)), Execution(read=(0,), made=(2,))]
    assert peak(order, [1, 100, 10], inputs=[0], results=[2]) == 101


def test_a_result_lives_to_the_end():
    order = [Execution(read=(0,), made=(1,)), Execution(read=(1,), made=(2,))]
    assert peak(order, [1, 5, 7], inputs=[0], results=[1, 2]) == 12


def test_an_operator_in_place_needs_no_second_tensor():
    order = [
        Execution(read=(0,), made=(1,)),
        Execution(read=(1,), made=(2,), in_place=True),
    ]
    assert peak(order, [1, 5, 5], inputs=[0], results=[2]) == 6


def test_it_does_where_its_input_is_read_later():
    order = [
        Execution(read=(0,), made=(1,)),
        Execution(read=(1,), made=(2,), in_place=True),
        Execution(read=(1, 2), made=(3,)),
    ]
    assert peak(order, [1, 5, 5, 2], inputs=[0], results=[3]) == 12


def test_inputs_are_there_from_the_start():
    order = [Execution(read=(0,), made=(2,)), Execution(read=(2, 1), made=(3,))]
    assert peak(order, [4, 10, 1, 1], inputs=[0, 1], results=[3]) == 15


def test_without_operators_the_inputs_are_all():
    assert peak([], [4, 10], inputs=[0, 1], results=[1]) == 14
