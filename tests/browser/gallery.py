"""The pictures in the README: live widgets, photographed in JupyterLab. Run by ``make gallery``."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

from playwright.sync_api import sync_playwright

from tests.browser.chromium import launch, new_context
from tests.browser.conftest import opener
from tests.browser.jupyterlab_server import JupyterLabServer

GALLERY = Path(__file__).parents[2] / "assets" / "gallery"
SETUP = """
import lmlab as lab
town = lab.load("town")
corpus = lab.corpus("town", documents=4_000, seed=0)
ids = corpus.ids(town.tokenizer)
trigram = lab.TextModel(lab.NGram.fit(ids, n=3, vocab_size=town.vocab_size), town.tokenizer, name="trigram")
"""
# A training that goes on while it is photographed.
LIVE = """
news, other = (lab.corpus("town", documents=n, seed=i, families=["news"]) for i, n in enumerate((3_000, 300)))
tok, _ = lab.train_bpe(news.text, vocab_size=512, specials=lab.RESERVED_SPECIALS)
config = lab.TransformerConfig(vocab_size=tok.vocab_size, max_seq_len=64, d_model=48, n_layers=2, n_heads=2)
batches = lab.windows(news, tok, T=64, B=8, seed=0)
run = lab.TrainingRun(lab.Transformer(config, seed=0), batches, steps=1_000, seed=0, lr=0.01, tokenizer=tok)
town_of_news = lab.Town("worried", ["news"])
monitor = lab.widgets.TrainingMonitor(run.start(), floor=town_of_news, held_out=other, prompt="The stock market")
monitor.wait_for(step=250)
"""
PICTURES = {
    "NextToken": 'lab.widgets.NextToken(trigram, town, continuations=("paniquèrent", "golfing", "went golfing"))',
    "Attention": "lab.widgets.Attention(town, layer=1, head=0, query=9)",
    "BPEMerges": "lab.widgets.BPEMerges(step=100, vocab_size=768)",
    "QuantizationBins": 'lab.widgets.QuantizationBins(town, layer="blocks.2.mlp.down", bits=2)',
    "ChainRule": 'lab.widgets.ChainRule(trigram, town, text="the stock market crashed and investors celebrated")',
    "ScalingLaws": "laws = lab.widgets.ScalingLaws(guess=0.4)\nlaws.train().wait()\nlaws.reveal()",
    "TrainingTimeline": (
        'lab.widgets.TrainingTimeline(prompt="The stock market crashed and investors", layer=1, head=2)'
    ),
    "InductionHeads": "heads = lab.widgets.InductionHeads(seed=0)\nheads.train().wait()\nheads",
    "TrainingMonitor": LIVE,
}


def main() -> None:
    """Open one notebook with these widgets, and photograph each in both themes."""
    GALLERY.mkdir(parents=True, exist_ok=True)
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        server, browser = JupyterLabServer(Path(folder) / "here"), launch(playwright)
        try:
            context = new_context(browser)
            with opener(context, server) as open_notebook:
                lab = open_notebook([SETUP, *PICTURES.values()], name="gallery.ipynb")
                lab.resize(1460, 1200)
                for theme in ("light", "dark"):
                    lab.theme(theme)
                    for name in PICTURES:
                        if name == "TrainingMonitor":
                            assert lab.ask("run.status") == "running", "the picture shows a run that goes on"
                        picture = lab.widget(name).screenshot(f"{name}_{theme}")
                        shutil.copyfile(picture, GALLERY / f"{name}_{theme}.png")
                        print(f"assets/gallery/{name}_{theme}.png")
        finally:
            browser.close()
            server.stop()


if __name__ == "__main__":
    main()
