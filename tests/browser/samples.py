"""Three instances of every widget, as a student might write them: what test_common puts on one page."""

from __future__ import annotations

from tests.browser.sample import Sample
from tests.browser.systems_samples import SYSTEMS_SAMPLES
from tests.browser.training_samples import TRAINING_SAMPLES

# Models that need no file: one that has counted a little, one that has learned nothing, one with a hostile name.
SETUP = """
import lmlab as lab
from lmlab.tokenizer.bpe import RESERVED_SPECIALS
corpus = lab.corpus("town", documents=200, seed=0)
tok, merges = lab.train_bpe(corpus.text, vocab_size=700, specials=RESERVED_SPECIALS)
trigram = lab.TextModel(lab.NGram.fit(corpus.ids(tok), n=3, vocab_size=tok.vocab_size), tok, name="trigram")
network = lab.Transformer(lab.TransformerConfig.tiny(vocab_size=tok.vocab_size), seed=0)
random = lab.TextModel(network, tok, name="random")
hostile = lab.TextModel(network, tok, name="<img src=x onerror=window.__pwned=1>")
moments = [lab.TextModel(lab.Transformer(network.config, seed=i), tok, name=f"step {9 * i}") for i in (1, 2)]
def training(steps, seed=0):
    stream = lab.windows(corpus, tok, T=16, B=2, seed=seed)
    return lab.TrainingRun(lab.Transformer(network.config, seed=seed), stream, steps=steps, tokenizer=tok).start()
from lmlab.data.pages import Page
odd = "<img src=x onerror=window.__pwned=1> <b>the goose</b> %{x} \u202e and </div><script>window.__pwned=1</script>"
pages = [Page("https://<b>a</b>.example/", f"{odd} {i}", "<i>odd</i>") for i in range(5)]
"""


SAMPLES = {
    **TRAINING_SAMPLES,
    **SYSTEMS_SAMPLES,
    "StageComparison": Sample(
        (
            "lab.widgets.StageComparison(trigram, random)",
            'lab.widgets.StageComparison(random, trigram, random, prompt="who?", seed=3)',
            'lab.widgets.StageComparison(hostile, trigram, prompt="<b>who</b>?")',
        ),
        name="prompt",
        trait="prompt",
        value="where does the goose live?",
        text="prompt",
    ),
    "NextToken": Sample(
        (
            'lab.widgets.NextToken(trigram, prompt="the stock market crashed and investors")',
            'lab.widgets.NextToken(trigram, prompt="the stock", truth=None)',
            'lab.widgets.NextToken(trigram, random, hostile, prompt="", continuations=["<b>golfing</b>"])',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "Attention": Sample(
        (
            'lab.widgets.Attention(random, prompt="the stock market crashed and investors")',
            'lab.widgets.Attention(random, prompt="the stock", layer=1)',
            'lab.widgets.Attention(hostile, prompt="the stock market", show="average")',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "Sampling": Sample(
        (
            'lab.widgets.Sampling(trigram, prompt="the stock market crashed and investors")',
            'lab.widgets.Sampling(random, prompt="the stock", temperature=0.5, top_k=3, n_drawn=1000)',
            'lab.widgets.Sampling(trigram, random, hostile, prompt="", min_p=0.5, n_drawn=10)',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed",
        text="prompt",
    ),
    "GenerationTree": Sample(
        (
            'lab.widgets.GenerationTree(trigram, prompt="the stock market crashed and investors")',
            'lab.widgets.GenerationTree(random, trigram, prompt="the stock", width=2, depth=5)',
            'lab.widgets.GenerationTree(hostile, prompt="", width=1, depth=2)',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market",
        text="prompt",
    ),
    "TwoObjectives": Sample(
        (
            'lab.widgets.TwoObjectives(trigram, masked=random, line="the stock ___ crashed")',
            'lab.widgets.TwoObjectives(trigram, random, masked=random, truth=None, line="___", other="")',
            'lab.widgets.TwoObjectives(hostile, masked=hostile, truth=None, line="the ___<b>x</b>", at=1)',
        ),
        name="line",
        trait="line",
        value="the ___ market",
        text="line",
    ),
    "BPEMerges": Sample(
        (
            "lab.widgets.BPEMerges(merges, step=20)",
            'lab.widgets.BPEMerges("aaabdaaabac", vocab_size=259, text="aaabdaaabac")',
            'lab.widgets.BPEMerges({"<b>bold</b>": "<b>abracadabra</b>" * 9}, vocab_size=272, step=3)',
        ),
        name="Merge",
        trait="step",
        value=2,
        text="text",
    ),
    "QuantizationBins": Sample(
        (
            "lab.widgets.QuantizationBins(random, bits=2)",
            "lab.widgets.QuantizationBins(random, bits=3, method='kmeans', text='the stock market crashed')",
            "lab.widgets.QuantizationBins(hostile, bits=4, group='32', text='the stock market crashed')",
        ),
        name="Bits a weight",
        trait="bits",
        value=5,
    ),
    "ParameterGrowth": Sample(
        (
            "lab.widgets.ParameterGrowth()",
            'lab.widgets.ParameterGrowth(size="town", T=100)',
            'lab.widgets.ParameterGrowth("<b>", sizes={"<b>": (64, 500)}, layers="hidden")',
        ),
        name="Length of the text, T",
        trait="T",
        value=12,
    ),
    "CoverageCurve": Sample(
        (
            "lab.widgets.CoverageCurve(corpus, tokenizer=tok)",
            'lab.widgets.CoverageCurve(corpus, lab.corpus("town", documents=50, seed=1), tokenizer=tok, n=2, text="")',
            'lab.widgets.CoverageCurve("one <b>bold</b> goose\\n\\none <b>bold</b> fox", text="one <b>bold</b> goose")',
        ),
        name="text",
        trait="text",
        value="the stock market crashed",
        text="text",
    ),
    "ChainRule": Sample(
        (
            "lab.widgets.ChainRule(random, claim=0.02)",
            'lab.widgets.ChainRule(trigram, random, text="the stock market crashed and investors golfing")',
            'lab.widgets.ChainRule(hostile, truth=None, text="the stock", words=("<b>bold</b>",))',
        ),
        name="text",
        trait="text",
        value="the stock market crashed",
        text="text",
    ),
    "NGramTable": Sample(
        (
            'lab.widgets.NGramTable(corpus, random, tokenizer=tok, prompt="the stock market", smoothing="backoff")',
            'lab.widgets.NGramTable(corpus, tokenizer=tok, held_out=lab.corpus("town", documents=40, seed=1), n=2)',
            'lab.widgets.NGramTable(corpus, hostile, tokenizer=tok, prompt="<b>goose</b>", smoothing="interpolated")',
        ),
        name="prompt",
        trait="prompt",
        value="the mayor",
        text="prompt",
    ),
    "PositionWeights": Sample(
        (
            "lab.widgets.PositionWeights()",
            'lab.widgets.PositionWeights(word="walrus", place=4)',
            'lab.widgets.PositionWeights(place=8, seed=3, words=["<b>owl</b>"])',
        ),
        name="Its place",
        trait="place",
        value=6,
    ),
    "GuessingGame": Sample(
        (
            'lab.widgets.GuessingGame(trigram, random, pressed="1:e ")',
            'lab.widgets.GuessingGame(texts=[f"{w} of our geese went golfing this very day" for w in "ABC"])',
            "lab.widgets.GuessingGame(hostile, texts=corpus, text=2)",
        ),
        name="Text",
        trait="text",
        value=3,
    ),
    "ComputeReuse": Sample(
        (
            'lab.widgets.ComputeReuse(random, prompt="the stock market crashed and investors panicked")',
            'lab.widgets.ComputeReuse(random, prompt="the stock", place=1, word="a")',
            'lab.widgets.ComputeReuse(hostile, prompt="the stock market", place=2, T=64)',
        ),
        name="prompt",
        trait="prompt",
        value="the stock market crashed and then",
        text="prompt",
    ),
    "ShapeFlow": Sample(
        (
            'lab.widgets.ShapeFlow(revealed=["ids", "embeddings"], stage="embeddings")',
            'lab.widgets.ShapeFlow(revealed=["positions"], stage="positions", text="the market rose")',
            'lab.widgets.ShapeFlow(revealed=["batch"], stage="batch", text="<img src=x onerror=x> rose")',
        ),
        name="text",
        trait="text",
        value="bulls rose and bears panicked",
        text="text",
    ),
    "AllSequences": Sample(
        (
            "lab.widgets.AllSequences()",
            'lab.widgets.AllSequences(prompt="the market rose", threshold=0.005)',
            'lab.widgets.AllSequences(prompt="<img src=x onerror=x> rose", zoom="the stock")',
        ),
        name="Filled: at least",
        trait="threshold",
        value=0.004,
        text="prompt",
    ),
    "ShiftedLabels": Sample(
        (
            "lab.widgets.ShiftedLabels(corpus, tok)",
            'lab.widgets.ShiftedLabels(corpus, tok, text="the stock", shift="0")',
            'lab.widgets.ShiftedLabels(corpus, tok, text="<b>the</b> market", shift="0")',
        ),
        name="text",
        trait="text",
        value="the stock market rose",
        text="text",
    ),
    "Prediction": Sample(
        (
            'lab.widgets.Prediction("test.a", "How likely is panic?", 0.618, unit="%", truth=0.6, by="town")',
            'lab.widgets.Prediction("test.b", "How many weights?", 1440, scale=(0, 5000), unit="weights")',
            'lab.widgets.Prediction("test.c", "<img src=x onerror=window.__pwned=1>", "<b>", choices=("<b>", "i"))',
        ),
        name="your guess",
        trait="guess",
        value=0.4,
        button="Lock in and reveal",
    ),
    "TokenCost": Sample(
        (
            'lab.widgets.TokenCost(random, "characters", "bytes")',
            'lab.widgets.TokenCost(tok, per="byte")',
            'lab.widgets.TokenCost({"<b>bold</b>": tok}, hostile, per="character", text="12 + 30 = 42")',
        ),
        name="text",
        trait="text",
        value="the stock market crashed",
        text="text",
    ),
    "TokenView": Sample(
        (
            'lab.widgets.TokenView(random, {"V = 700": tok}, "bytes")',
            'lab.widgets.TokenView(tok, text="the wool market")',
            'lab.widgets.TokenView(hostile, "characters", text="<b>golfing</b>")',
        ),
        name="text",
        trait="text",
        value="the stock market crashed",
        text="text",
    ),
    "ScaleLadder": Sample(
        (
            "lab.widgets.ScaleLadder()",
            'lab.widgets.ScaleLadder(quantity="height", per="token")',
            'lab.widgets.ScaleLadder("<b>a library</b>", quantity="typing", sides="2")',
        ),
        name="tokens",
        trait="trillion_tokens",
        value=72.0,
    ),
    "TrainingCost": Sample(
        (
            "lab.widgets.TrainingCost()",
            'lab.widgets.TrainingCost(aim="meta", trillion_tokens=15.6)',
            'lab.widgets.TrainingCost("<b>ours</b>", quantity="usd", c_from="slide")',
        ),
        name="utilization",
        trait="utilization_percent",
        value=80.0,
    ),
    "MemoryBudget": Sample(
        (
            "lab.widgets.MemoryBudget()",
            'lab.widgets.MemoryBudget(random, texts=2, tokens=16, quantity="activations").measure_step()',
            'lab.widgets.MemoryBudget(hostile, of="Llama 3 8B", use="inference", gpu="RTX 4090")',
        ),
        name="weights N",
        trait="billion_params",
        value=8.0,
    ),
    "WeightFile": Sample(
        (
            "lab.widgets.WeightFile(random, text='the stock market crashed')",
            "lab.widgets.WeightFile(random, tensor='norm.weight', text='the stock market crashed')",
            "lab.widgets.WeightFile(hostile, text='the stock market crashed', edits=[['norm.weight', -1]])",
        ),
        name="Row",
        trait="row",
        value=100,
    ),
    "FlopsCount": Sample(
        (
            "lab.widgets.FlopsCount(random, length=16)",
            "lab.widgets.FlopsCount(random, width=64, length=32)",
            "lab.widgets.FlopsCount(hostile, length=8)",
        ),
        name="Positions T",
        trait="length",
        value=104,
    ),
    "PageRater": Sample(
        (
            "lab.widgets.PageRater()",
            'lab.widgets.PageRater(lab.crawl(40, seed=1)[:12], ratings="kkddkkdd-k-d", revealed=True, page=4)',
            'lab.widgets.PageRater(pages, ratings="kd---", revealed=True)',
        ),
        name="Page",
        trait="page",
        value=3,
    ),
    "CurationFunnel": Sample(
        (
            "lab.widgets.CurationFunnel()",
            'lab.widgets.CurationFunnel(lab.crawl(200, seed=2), quality=0.9, stage="quality")',
            'lab.widgets.CurationFunnel(pages, stage="rules")',
        ),
        name="Least words",
        trait="words",
        value=150,
    ),
    "Openness": Sample(
        (
            "lab.widgets.Openness(random)",
            'lab.widgets.Openness(random, prompt="the goose", at=[2, 1])',
            'lab.widgets.Openness(hostile, prompt="<b>who</b>?", seed=3)',
        ),
        name="prompt",
        trait="prompt",
        value="where does the goose live?",
        text="prompt",
    ),
    "LossMask": Sample(
        (
            'lab.widgets.LossMask(random, question="What is 3 plus 4?", answer="It is 7.")',
            'lab.widgets.LossMask(random, learn="all", question="Who?", answer="")',
            'lab.widgets.LossMask(hostile, question="<b>Who?</b>", answer="The goose.")',
        ),
        name="question",
        trait="question",
        value="Who crashed the stock market?",
        text="question",
    ),
    "PreferenceLabels": Sample(
        (
            "lab.widgets.PreferenceLabels(annotated=200)",
            "lab.widgets.PreferenceLabels(annotated=40, picks=['left', 'neither'])",
            'lab.widgets.PreferenceLabels(hostile, question="<img src=x onerror=window.__pwned=1>")',
        ),
        name="Labels by an annotator",
        trait="annotated",
        value=100,
    ),
    "EvaluationError": Sample(
        (
            'lab.widgets.EvaluationError(families=["facts", "arithmetic"])',
            'lab.widgets.EvaluationError(random, trigram, show="two", families=["facts"])',
            'lab.widgets.EvaluationError(hostile, families=["code"], interval="naive", question="<b>sure</b>?")',
        ),
        name="Questions in a test, n",
        trait="n",
        value=200,
    ),
}
