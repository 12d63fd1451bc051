import random
import statistics

import pytest

from search_space import catalog
from search_space.architecture import Classifier
from search_space.chain import ChainArchitecture, Op, Skip
from search_space.decisions import DecisionSpace
from search_space.layers import layers, params
from search_space.mnasnet import Base, Definition, MnasNetSpace
from search_space.strides import Strides
from search_space.testing import DecisionSpaceContract, FactorizedSpaceContract
from workspace.errors import InputError


class TestThePapersSpace(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return MnasNetSpace(size=64)


class TestThePapersSpaceOfFiveBlocks(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return MnasNetSpace(blocks=5, base=Base.MNASNET_A1, size=64)


class TestThePublicSpace(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):
        return MnasNetSpace(definition=Definition.PUBLIC, size=64)


class TestASpaceForSmallImages(FactorizedSpaceContract):
    @pytest.fixture
    def space(self):  # widths so narrow that options coincide, and blocks too
        return MnasNetSpace(strides=Strides.SMALL, size=28, channels=1, width=0.25)


class TestItsPoints(DecisionSpaceContract):
    @pytest.fixture
    def points(self):
        return MnasNetSpace(definition=Definition.PUBLIC).points


def test_the_published_sizes_are_exact():
    assert MnasNetSpace(blocks=5).count == 432**5 == 15_045_919_506_432
    assert MnasNetSpace(blocks=7).count == 432**7
    for base in Base:
        assert MnasNetSpace(definition=Definition.PUBLIC, base=base).count == 216**5 * 144**2


def test_each_block_has_432_options():
    options = dict.fromkeys((f"block{i}" for i in range(1, 8)), 1)
    for choice in MnasNetSpace().points.choices:
        options[choice.name.partition(".")[0]] *= len(choice.options)
    assert set(options.values()) == {432}


def test_decisions_have_names_that_people_can_read():
    space = MnasNetSpace()
    described = space.points.describe((0,) * 42)
    names = ("op", "kernel", "se", "skip", "filters", "layers")
    assert list(described) == [f"block{i}.{name}" for i in range(1, 8) for name in names]
    choices = {choice.name: choice.options for choice in space.points.choices}
    assert choices["block3.op"] == ("conv", "dwsep", "mbconv3", "mbconv6")
    assert choices["block3.kernel"] == ("3", "5")
    assert choices["block3.se"] == ("0", "0.25")
    assert choices["block3.skip"] == ("pool", "identity", "none")
    assert choices["block3.filters"] == ("24", "32", "40")
    assert choices["block3.layers"] == ("3", "4", "2")


def test_the_public_definition_has_its_own_choices():
    space = MnasNetSpace(definition=Definition.PUBLIC, base=Base.MNASNET_A1)
    choices = {choice.name: choice.options for choice in space.points.choices}
    assert choices["block1.op"] == ("conv", "mbconv")
    assert choices["block1.expansion"] == ("1", "3", "6")
    assert choices["block1.layers"] == ("1", "2")
    assert choices["block5.layers"] == ("2", "1", "3")
    assert choices["block5.filters"] == ("84", "112", "140")
    assert "block1.skip" not in choices


def chosen(space: MnasNetSpace, **options: str) -> ChainArchitecture:
    """The network of the options named, ``block3_kernel="5"``, and the first of all others."""
    point = []
    left = dict(options)
    for choice in space.points.choices:
        wanted = left.pop(choice.name.replace(".", "_"), choice.options[0])
        point.append(choice.options.index(wanted))
    assert not left
    return space.decode(tuple(point))


def test_a_decision_changes_its_block_and_no_other():
    space = MnasNetSpace()
    plain = chosen(space)
    changed = chosen(space, block3_op="mbconv6", block3_skip="none", block3_layers="4")
    assert changed.stages[2].op is Op.MBCONV
    assert changed.stages[2].expansion == 6
    assert changed.stages[2].skip is Skip.NONE
    assert changed.stages[2].repeats == 4
    assert [a == b for a, b in zip(plain.stages, changed.stages, strict=True)] == [
        True, True, False, True, True, True, True,
    ]  # fmt: skip


def test_one_layer_less_than_one_removes_the_block():
    space = MnasNetSpace()
    network = chosen(space, block1_layers="0", block7_layers="0", block1_kernel="5")
    assert [stage.filters for stage in network.stages] == [18, 24, 48, 72, 120]
    assert network.total_stride == 32
    again = space.encode(network)
    assert space.points.describe(again)["block1.layers"] == "0"
    assert space.points.describe(again)["block1.kernel"] == "3"


def test_points_of_one_function_have_one_key_and_one_code():
    space = MnasNetSpace(definition=Definition.PUBLIC)
    keys = {chosen(space, block3_op="conv", block3_expansion=e).key for e in ("1", "3", "6")}
    codes = {
        space.encode(chosen(space, block3_op="conv", block3_expansion=e)) for e in ("1", "3", "6")
    }
    assert len(keys) == len(codes) == 1


def test_blocks_that_run_into_each_other_are_still_told_apart():
    space = MnasNetSpace(base=Base.MNASNET_A1, width=0.1)  # blocks 4 and 5 get equal widths
    network = chosen(space, block4_skip="identity", block5_skip="identity")
    assert len(network.canonical().stages) < 7
    assert space.decode(space.encode(network)).key == network.key


@pytest.mark.parametrize("definition", Definition)
@pytest.mark.parametrize("blocks", [5, 7])
def test_mnasnet_a1_is_a_member_around_its_own_base(definition, blocks):
    space = MnasNetSpace(definition=definition, base=Base.MNASNET_A1, blocks=blocks)
    published = catalog.create("mnasnet-a1")
    assert space.decode(space.encode(published)).key == published.key


def test_mnasnet_a1_is_no_member_around_mobilenet_v2():
    with pytest.raises(InputError, match=r"layer 11 \(mb6k3s1f112se0\.25\) has no place"):
        MnasNetSpace().encode(catalog.create("mnasnet-a1"))


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("mnasnet-d1", "layer 1 .mb9k3s1f24"),
        ("mobilenet-v2", "activation is relu6, not relu"),
        ("mnasnet-small", "stem is Stem.filters=8"),
    ],
)
def test_strangers_are_refused_with_what_differs(name, said):
    with pytest.raises(InputError, match=f"not in the space 'mnasnet': its {said}"):
        MnasNetSpace().encode(catalog.create(name))


def test_a_network_at_another_size_is_no_member():
    space = MnasNetSpace(base=Base.MNASNET_A1)
    with pytest.raises(InputError, match="its size is 192, not 224"):
        space.encode(catalog.create("mnasnet-a1", size=192))


def test_a_network_that_ends_early_is_no_member():
    space = MnasNetSpace(base=Base.MNASNET_A1)
    whole = catalog.create("mnasnet-a1")
    short = ChainArchitecture(size=224, stem=whole.stem, stages=whole.stages[:5])
    with pytest.raises(InputError, match="layers are missing after its last"):
        space.encode(short)


def test_small_strides_halve_three_times():
    space = MnasNetSpace(strides=Strides.SMALL, size=28)
    rng = random.Random(0)
    for _ in range(20):
        network = space.decode(space.points.sample(rng))
        assert network.total_stride == 8
        assert layers(network)[-1].out_size == 4


def test_a_proxy_network_can_be_made_small():
    space = MnasNetSpace.from_options(
        {
            "strides": "small", "size": "28", "channels": "1", "width": "0.35",
            "stem_filters": "16", "head_filters": "256",
        }
    )  # fmt: skip
    rng = random.Random(0)
    head = Classifier(classes=10)
    counts = [params(space.decode(space.points.sample(rng)), head) for _ in range(100)]
    assert 100_000 < statistics.median(counts) < 300_000


def test_settings_come_as_text():
    space = MnasNetSpace.from_options(
        {
            "definition": "public", "base": "mnasnet_a1", "blocks": "5", "size": "96",
            "width": "0.5", "channels": "1", "strides": "small", "stem_filters": "24",
            "head_filters": "640",
        }
    )  # fmt: skip
    network = chosen(space)
    assert space.count == 216**5
    assert (network.size, network.channels, network.head_filters) == (96, 1, 640)
    assert network.stem.filters == 16  # 12, to a multiple of 8
    assert [stage.filters for stage in network.stages] == [8, 16, 16, 32, 40, 64, 160]


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"depth": "3"}, "'depth'; it has definition, base, blocks, size"),
        ({"definition": "vertex"}, "must be paper or public, got 'vertex'"),
        ({"base": "resnet"}, "must be mobilenet_v2 or mnasnet_a1, got 'resnet'"),
        ({"blocks": "6"}, "5 or 7 blocks to choose, got 6"),
        ({"width": "wide"}, "0.05 to 10, got 'wide'"),
        ({"width": "nan"}, "0.05 to 10, got 'nan'"),
        ({"size": "28"}, "at least 32 pixels.* got 28"),
        ({"size": "7", "strides": "small"}, "at least 8 pixels.* got 7"),
        ({"channels": "0"}, "from 1 to 64, got '0'"),
    ],
)
def test_wrong_settings_are_quoted(options, said):
    with pytest.raises(InputError, match=said):
        MnasNetSpace.from_options(options)


def test_its_points_are_decisions():
    assert isinstance(MnasNetSpace().points, DecisionSpace)
