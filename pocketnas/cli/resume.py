"""``pocketnas resume``: goes on with a search or a training that was cut off."""

from __future__ import annotations

from pocketnas.cli.output import AsJson
from pocketnas.cli.replay import Run


def resume(run: Run, *, as_json: AsJson = False) -> None:
    """Go on with a search or a training that was cut off by Ctrl-C, a crash or a power cut.

    What was found is kept, what was under way is done again, and in ordered mode the run ends as
    if it had never been cut off. A training goes on from its last checkpoint, on the CPU to the
    same last bit.
    """
    from pocketnas import runs
    from pocketnas.training_plan import is_training

    if is_training(run):
        from pocketnas.cli.train import carry_out

        carry_out(run, None, resume=True, as_json=as_json)
        return
    from pocketnas.cli.search import tell_how_to_resume
    from pocketnas.cli.show import print_run
    from pocketnas.progress import Words, show_progress

    config = runs.load_config(run)
    showing = show_progress(config.trials, quiet=as_json, words=Words.of(config))
    with tell_how_to_resume(run), showing as observer:
        runs.resume(run, observer)
    print_run(run, as_json=as_json)
