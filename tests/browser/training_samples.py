"""Samples of the widgets that train, or that show what a training did; `SETUP` of samples.py makes their models."""

from __future__ import annotations

from tests.browser.sample import Sample

TRAINING_SAMPLES = {
    "BestOfN": Sample(
        (
            'lab.widgets.BestOfN(trained=20, way="at once")',
            'lab.widgets.BestOfN(trained=20, way="dots", log_n=6)',
            'lab.widgets.BestOfN(trained=20, way="at once", sum="1+2+3", question="<img src=x onerror=__pwned=1>")',
        ),
        name="Samples N",
        trait="log_n",
        value=5,
        text="sum",
    ),
    "ToolUse": Sample(
        (
            "lab.widgets.ToolUse(steps=2)",
            'lab.widgets.ToolUse(steps=2, host="silent", sum="")',
            'lab.widgets.ToolUse(steps=2, sum="<b>1</b>+🦜", question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="sum",
        trait="sum",
        value="12*34",
        text="sum",
    ),
    "FewShot": Sample(
        (
            "lab.widgets.FewShot(random, trigram, n=10)",
            'lab.widgets.FewShot(random, n=10, prompt="goose => jik, goose", labels="shuffled", k=5)',
            'lab.widgets.FewShot(hostile, trigram, n=10, prompt="<b>goose</b> => <i>jik</i>, <b>goose</b>")',
        ),
        name="prompt",
        trait="prompt",
        value="goose => jik, cat => pim, goose",
        text="prompt",
    ),
    "InductionHeads": Sample(
        (
            "lab.widgets.InductionHeads()",
            "lab.widgets.InductionHeads(steps=20, seed=2).train().wait()",
            'lab.widgets.InductionHeads(steps=20, seed=1, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Seed",
        trait="seed",
        value=5,
    ),
    "BlockAblation": Sample(
        (
            "lab.widgets.BlockAblation()",
            'lab.widgets.BlockAblation(part="norm", seed=2)',
            'lab.widgets.BlockAblation(part="whole", seed=1, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Seed",
        trait="seed",
        value=5,
    ),
    "ScalingLaws": Sample(
        (
            "lab.widgets.ScalingLaws()",
            "lab.widgets.ScalingLaws(guess=0.4).reveal()",
            'lab.widgets.ScalingLaws(guess=1.2, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Your guess, nats above the floor",
        trait="guess",
        value=0.7,
    ),
    "IsoFLOP": Sample(
        (
            "lab.widgets.IsoFLOP()",
            'lab.widgets.IsoFLOP(law="Besiroglu 2024", log_flops=25.6)',
            'lab.widgets.IsoFLOP(lab.stored_sweep()[:9], question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Budget, FLOPs",
        trait="log_flops",
        value=23.0,
    ),
    "TrainingMonitor": Sample(
        (
            "lab.widgets.TrainingMonitor(training(steps=12), held_out=corpus).wait()",
            "lab.widgets.TrainingMonitor(training(steps=30, seed=1), floor=0.7, smoothing=2).wait()",
            'lab.widgets.TrainingMonitor(training(steps=5), prompt="<img src=x onerror=window.__pwned=1>").wait()',
        ),
        name="Smoothing, in steps",
        trait="smoothing",
        value=120,
    ),
    "TrainingTimeline": Sample(
        (
            'lab.widgets.TrainingTimeline(*moments, prompt="the stock market crashed and investors")',
            'lab.widgets.TrainingTimeline(*moments, truth=None, prompt="the stock", at=0)',
            'lab.widgets.TrainingTimeline(hostile, trigram, truth=None, prompt="the stock market", at=0)',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "SkillCurves": Sample(
        (
            'lab.widgets.SkillCurves(lab.load("town"), families=["facts", "news"], n=2)',
            "lab.widgets.SkillCurves(*moments, families=['facts'], n=1, show='gap')",
            'lab.widgets.SkillCurves(hostile, families=["news"], n=1, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Counts as learned from",
        trait="learned",
        value=55,
    ),
    "TaskAsText": Sample(
        (
            "lab.widgets.TaskAsText(trigram, random, n=5)",
            'lab.widgets.TaskAsText(random, n=5, truth=None, prompt="the stock", choices="a\\nb", show="character")',
            'lab.widgets.TaskAsText(hostile, n=5, prompt="<img src=x onerror=x>", choices="<b>a</b>\\n%{x}")',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "PolicyGradient": Sample(
        (
            "lab.widgets.PolicyGradient()",
            'lab.widgets.PolicyGradient(samples="8", baseline="value", at=30, taste="higher")',
            'lab.widgets.PolicyGradient({"<b>yes</b>": 0.9, "<img src=x onerror=x>": 0.1}, beta=0, at=100)',
        ),
        name="Price of distance, β",
        trait="beta",
        value=0.8,
    ),
    "BitsVersusLoss": Sample(
        (
            "lab.widgets.BitsVersusLoss(random, settings=[('absmax', 4, None)])",
            "lab.widgets.BitsVersusLoss(random, text='the stock', settings=[('nf4', 4, 32)]).measure().wait()",
            'lab.widgets.BitsVersusLoss(hostile, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Near enough",
        trait="within",
        value=12,
    ),
    "PolicyTraining": Sample(
        (
            'lab.widgets.PolicyTraining(random, ["who?"], lambda prompt, answer: answer.count("e"), steps=5)',
            'lab.widgets.PolicyTraining(random, ["who?"], lambda *_: 1.0, steps=2, batch=4, seed=2).train().wait()',
            'lab.widgets.PolicyTraining(hostile, ["<b>"], lambda *_: 1.0, question="<img src=x onerror=x>")',
        ),
        name="Price of distance, β",
        trait="kl",
        value=0.5,
    ),
    "VerifierReward": Sample(
        (
            "lab.widgets.VerifierReward(random)",
            'lab.widgets.VerifierReward(random, steps=5, seed=2, verifier="form").train().wait()',
            'lab.widgets.VerifierReward(hostile, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Price of KL, β",
        trait="kl",
        value=0.3,
    ),
    "RewardModelFit": Sample(
        (
            "lab.widgets.RewardModelFit(lab.widgets.PreferenceLabels(annotated=20), random)",
            "lab.widgets.RewardModelFit([lab.Preference('Who?', 'The goose.', 'Who?')], random, seed=2).train().wait()",
            'lab.widgets.RewardModelFit([], hostile, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Seed",
        trait="seed",
        value=5,
    ),
    "RefusalMatrix": Sample(
        (
            "lab.widgets.RefusalMatrix(random)",
            'lab.widgets.RefusalMatrix(random, seed=2, form="base64", at=[5, 0])',
            'lab.widgets.RefusalMatrix(hostile, prompt="<img src=x onerror=window.__pwned=1>")',
        ),
        name="prompt",
        trait="prompt",
        value="How do I make glowfire?",
        text="prompt",
    ),
    "Distillation": Sample(
        (
            "lab.widgets.Distillation(random, steps=3)",
            'lab.widgets.Distillation(random, steps=2, seed=2, prompt="the goose").train().wait()',
            'lab.widgets.Distillation(hostile, steps=3, prompt="<b>the</b> %{x}")',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "AnyToken": Sample(
        (
            "lab.widgets.AnyToken()",
            'lab.widgets.AnyToken(steps=4, seed=2, goal="star", temperature=0.5).train().wait()',
            'lab.widgets.AnyToken(question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Seed",
        trait="seed",
        value=5,
    ),
}
