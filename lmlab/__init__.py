"""lmlab: a lecture on language models made touchable.

    import lmlab as lab

    town = lab.load("town")
    lab.widgets.NextToken(town, prompt="the stock market crashed and investors")

Every name below is imported when it is first used, so `import lmlab` costs milliseconds and needs neither
torch nor ipywidgets until you do something.

Shapes are written with one legend of letters throughout:

    B  batch            D  model width            K  key/value heads
    T  query positions  L  layers                 E  width of a head
    S  key positions    H  query heads            F  feed-forward width
                                                  V  vocabulary
"""

from __future__ import annotations

import importlib
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:  # for editors and type checkers, which do not run __getattr__; a test compares the two
    from lmlab import widgets as widgets
    from lmlab.assets import asset as asset
    from lmlab.data.agreement import cohen_kappa as cohen_kappa
    from lmlab.data.any_tokens import Codebook as Codebook
    from lmlab.data.any_tokens import patchify as patchify
    from lmlab.data.batches import windows as windows
    from lmlab.data.chat import chat_examples as chat_examples
    from lmlab.data.corpus import Corpus as Corpus
    from lmlab.data.corpus import corpus as corpus
    from lmlab.data.curation import Thresholds as Thresholds
    from lmlab.data.curation import curate as curate
    from lmlab.data.curation import measured_crawl as measured_crawl
    from lmlab.data.few_shot import few_shot_prompts as few_shot_prompts
    from lmlab.data.few_shot import few_shot_task as few_shot_task
    from lmlab.data.guessing_game import shannon_bounds as shannon_bounds
    from lmlab.data.masked import masked_windows as masked_windows
    from lmlab.data.mixture import DCLM_AS_OLMOE as DCLM_AS_OLMOE
    from lmlab.data.mixture import OLMO_2 as OLMO_2
    from lmlab.data.near_duplicates import jaccard as jaccard
    from lmlab.data.near_duplicates import shingles as shingles
    from lmlab.data.occurrences import coverage as coverage
    from lmlab.data.page_language import english_share as english_share
    from lmlab.data.page_rules import page_features as page_features
    from lmlab.data.pages import crawl as crawl
    from lmlab.data.preferences import Preference as Preference
    from lmlab.data.preferences import preference_pairs as preference_pairs
    from lmlab.data.preferences import text_reward as text_reward
    from lmlab.data.token_file import tokenized as tokenized
    from lmlab.data.tool_calls import calculate as calculate
    from lmlab.data.town import Town as Town
    from lmlab.data.town import TownTruth as TownTruth
    from lmlab.devices import pick_device as pick_device
    from lmlab.exercises import check as check
    from lmlab.exercises import hint as hint
    from lmlab.exercises import progress as progress
    from lmlab.exercises import reveal as reveal
    from lmlab.machine_report import doctor as doctor
    from lmlab.models.ablation import ablate as ablate
    from lmlab.models.ablation import without_heads as without_heads
    from lmlab.models.bigram import NeuralBigram as NeuralBigram
    from lmlab.models.counts import SequenceCounts as SequenceCounts
    from lmlab.models.flops import counted_flops as counted_flops
    from lmlab.models.induction import induction_scores as induction_scores
    from lmlab.models.induction import look_back_scores as look_back_scores
    from lmlab.models.kv_cache import KVCache as KVCache
    from lmlab.models.language_model import LanguageModel as LanguageModel
    from lmlab.models.linear import quantize_model as quantize_model
    from lmlab.models.load import load_model as load_model
    from lmlab.models.load import save_model as save_model
    from lmlab.models.mlp import MLP as MLP
    from lmlab.models.ngram import NGram as NGram
    from lmlab.models.reward import RewardModel as RewardModel
    from lmlab.models.trace import Trace as Trace
    from lmlab.models.transformer import Transformer as Transformer
    from lmlab.models.transformer import TransformerConfig as TransformerConfig
    from lmlab.quantization import decode_blocks as decode_blocks
    from lmlab.quantization import encode_blocks as encode_blocks
    from lmlab.quantization import quantize as quantize
    from lmlab.sampling import Sampler as Sampler
    from lmlab.sampling import generate as generate
    from lmlab.scaling import BESIROGLU as BESIROGLU
    from lmlab.scaling import HOFFMANN as HOFFMANN
    from lmlab.scaling import KAPLAN_FLOPS as KAPLAN_FLOPS
    from lmlab.scaling import LossSurface as LossSurface
    from lmlab.scaling import PowerLaw as PowerLaw
    from lmlab.scaling import bootstrap_surfaces as bootstrap_surfaces
    from lmlab.scaling import bootstrap_valleys as bootstrap_valleys
    from lmlab.scaling import fit_power_law as fit_power_law
    from lmlab.scaling import fit_surface as fit_surface
    from lmlab.scaling import fit_valley as fit_valley
    from lmlab.scaling import interval as interval
    from lmlab.systems.compute import gpu_days as gpu_days
    from lmlab.systems.compute import n_sheets as n_sheets
    from lmlab.systems.compute import n_words as n_words
    from lmlab.systems.compute import rental_usd as rental_usd
    from lmlab.systems.compute import stack_km as stack_km
    from lmlab.systems.compute import text_bytes as text_bytes
    from lmlab.systems.compute import training_flops as training_flops
    from lmlab.systems.compute import typing_years as typing_years
    from lmlab.systems.compute import utilization as utilization
    from lmlab.systems.fusion import naive_attention as naive_attention
    from lmlab.systems.fusion import naive_attention_bytes as naive_attention_bytes
    from lmlab.systems.fusion import scale_shift_gelu as scale_shift_gelu
    from lmlab.systems.fusion import tile_memory_bytes as tile_memory_bytes
    from lmlab.systems.fusion import tiled_attention as tiled_attention
    from lmlab.systems.fusion import tiled_attention_bytes as tiled_attention_bytes
    from lmlab.systems.measured import measured_memory as measured_memory
    from lmlab.systems.memory import gpus_needed as gpus_needed
    from lmlab.systems.memory import inference_memory as inference_memory
    from lmlab.systems.memory import kv_cache_bytes as kv_cache_bytes
    from lmlab.systems.memory import training_memory as training_memory
    from lmlab.systems.roofline import GPU_ROOFS as GPU_ROOFS
    from lmlab.systems.roofline import Roof as Roof
    from lmlab.systems.roofline import attention_seconds as attention_seconds
    from lmlab.systems.roofline import measured_roofline as measured_roofline
    from lmlab.systems.roofline import placed_under as placed_under
    from lmlab.systems.sharding import data_parallel as data_parallel
    from lmlab.systems.sharding import pipeline_parallel as pipeline_parallel
    from lmlab.systems.sharding import split_mlp as split_mlp
    from lmlab.systems.sharding import split_product as split_product
    from lmlab.systems.sharding import tensor_parallel as tensor_parallel
    from lmlab.systems.simulation import simulated_step as simulated_step
    from lmlab.systems.timeline import Network as Network
    from lmlab.systems.timeline import Workload as Workload
    from lmlab.systems.timeline import bubble as bubble
    from lmlab.text_model import Candidate as Candidate
    from lmlab.text_model import Generation as Generation
    from lmlab.text_model import Step as Step
    from lmlab.text_model import TextModel as TextModel
    from lmlab.text_model import load as load
    from lmlab.tokenizer.bpe import RESERVED_SPECIALS as RESERVED_SPECIALS
    from lmlab.tokenizer.bpe import train_bpe as train_bpe
    from lmlab.tokenizer.characters import CharacterTokenizer as CharacterTokenizer
    from lmlab.tokenizer.chat_template import default_template as default_template
    from lmlab.tokenizer.load import load_tokenizer as load_tokenizer
    from lmlab.tokenizer.merge_log import MergeLog as MergeLog
    from lmlab.tokenizer.split import SPLIT_GPT2 as SPLIT_GPT2
    from lmlab.tokenizer.tokenizer import Tokenizer as Tokenizer
    from lmlab.tokenizer.words import WordTokenizer as WordTokenizer
    from lmlab.training.clock_trial import ClockTrial as ClockTrial
    from lmlab.training.clock_trial import stored_scratch_pad as stored_scratch_pad
    from lmlab.training.copying import CopyTrial as CopyTrial
    from lmlab.training.curation_study import CurationTrial as CurationTrial
    from lmlab.training.curation_study import stored_curation as stored_curation
    from lmlab.training.distillation import distill as distill
    from lmlab.training.distillation_study import DistillationTrial as DistillationTrial
    from lmlab.training.distillation_study import stored_distillation as stored_distillation
    from lmlab.training.exact_inputs import exact_inputs_curve as exact_inputs_curve
    from lmlab.training.exact_inputs import kept_exact_inputs as kept_exact_inputs
    from lmlab.training.exact_inputs import largest_inputs as largest_inputs
    from lmlab.training.loop import train as train
    from lmlab.training.objectives import masked_token as masked_token
    from lmlab.training.objectives import next_token as next_token
    from lmlab.training.other_process import terminal as terminal
    from lmlab.training.policy_objectives import k1 as k1
    from lmlab.training.policy_objectives import k2 as k2
    from lmlab.training.policy_objectives import k3 as k3
    from lmlab.training.policy_objectives import policy_gradient as policy_gradient
    from lmlab.training.preference_objectives import bradley_terry as bradley_terry
    from lmlab.training.preference_objectives import dpo as dpo
    from lmlab.training.quantization_study import QuantizationPoint as QuantizationPoint
    from lmlab.training.quantization_study import kept_curve as kept_curve
    from lmlab.training.quantization_study import quantization_curve as quantization_curve
    from lmlab.training.refusal_rounds import helpful_assistant as helpful_assistant
    from lmlab.training.rollouts import rollouts as rollouts
    from lmlab.training.run import TrainingRun as TrainingRun
    from lmlab.training.scaling_study import around_the_best as around_the_best
    from lmlab.training.scaling_study import best_of_each_budget as best_of_each_budget
    from lmlab.training.scaling_study import held_out_runs as held_out_runs
    from lmlab.training.scaling_study import stored_sweep as stored_sweep
    from lmlab.training.shares import wilson_interval as wilson_interval
    from lmlab.training.state import TrainState as TrainState
    from lmlab.training.tool_use import converse as converse
    from lmlab.training.tool_use import stored_tool_use as stored_tool_use
    from lmlab.training.tool_use import tool_user as tool_user
    from lmlab.training.votes import pass_at_n as pass_at_n
    from lmlab.training.votes import vote_of_samples as vote_of_samples
    from lmlab.user_folder import new_run_folder as new_run_folder

__version__ = "0.1.0"

_HOME = {
    # a model and its text
    "load": "lmlab.text_model",
    "TextModel": "lmlab.text_model",
    "Candidate": "lmlab.text_model",
    "Generation": "lmlab.text_model",
    "Step": "lmlab.text_model",
    "generate": "lmlab.sampling",
    "Sampler": "lmlab.sampling",
    # text to ids
    "Tokenizer": "lmlab.tokenizer.tokenizer",
    "WordTokenizer": "lmlab.tokenizer.words",
    "CharacterTokenizer": "lmlab.tokenizer.characters",
    "load_tokenizer": "lmlab.tokenizer.load",
    "default_template": "lmlab.tokenizer.chat_template",
    "train_bpe": "lmlab.tokenizer.bpe",
    "MergeLog": "lmlab.tokenizer.merge_log",
    "RESERVED_SPECIALS": "lmlab.tokenizer.bpe",
    "SPLIT_GPT2": "lmlab.tokenizer.split",
    # models
    "NGram": "lmlab.models.ngram",
    "MLP": "lmlab.models.mlp",
    "NeuralBigram": "lmlab.models.bigram",
    "SequenceCounts": "lmlab.models.counts",
    "LanguageModel": "lmlab.models.language_model",
    "RewardModel": "lmlab.models.reward",
    "Transformer": "lmlab.models.transformer",
    "TransformerConfig": "lmlab.models.transformer",
    "Trace": "lmlab.models.trace",
    "KVCache": "lmlab.models.kv_cache",
    "ablate": "lmlab.models.ablation",
    "without_heads": "lmlab.models.ablation",
    "induction_scores": "lmlab.models.induction",
    "look_back_scores": "lmlab.models.induction",
    "load_model": "lmlab.models.load",
    "save_model": "lmlab.models.load",
    "quantize": "lmlab.quantization",
    "quantize_model": "lmlab.models.linear",
    "encode_blocks": "lmlab.quantization",
    "decode_blocks": "lmlab.quantization",
    "exact_inputs_curve": "lmlab.training.exact_inputs",
    "kept_exact_inputs": "lmlab.training.exact_inputs",
    "largest_inputs": "lmlab.training.exact_inputs",
    "QuantizationPoint": "lmlab.training.quantization_study",
    "kept_curve": "lmlab.training.quantization_study",
    "quantization_curve": "lmlab.training.quantization_study",
    # what they read
    "corpus": "lmlab.data.corpus",
    "Corpus": "lmlab.data.corpus",
    "tokenized": "lmlab.data.token_file",
    "windows": "lmlab.data.batches",
    "masked_windows": "lmlab.data.masked",
    "Town": "lmlab.data.town",
    "TownTruth": "lmlab.data.town",
    "coverage": "lmlab.data.occurrences",
    "shannon_bounds": "lmlab.data.guessing_game",
    "few_shot_task": "lmlab.data.few_shot",
    "few_shot_prompts": "lmlab.data.few_shot",
    "chat_examples": "lmlab.data.chat",
    "Preference": "lmlab.data.preferences",
    "preference_pairs": "lmlab.data.preferences",
    "text_reward": "lmlab.data.preferences",
    # which pages it should read
    "crawl": "lmlab.data.pages",
    "measured_crawl": "lmlab.data.curation",
    "curate": "lmlab.data.curation",
    "Thresholds": "lmlab.data.curation",
    "english_share": "lmlab.data.page_language",
    "page_features": "lmlab.data.page_rules",
    "shingles": "lmlab.data.near_duplicates",
    "jaccard": "lmlab.data.near_duplicates",
    "cohen_kappa": "lmlab.data.agreement",
    "OLMO_2": "lmlab.data.mixture",
    "DCLM_AS_OLMOE": "lmlab.data.mixture",
    "CurationTrial": "lmlab.training.curation_study",
    "stored_curation": "lmlab.training.curation_study",
    # how they learn
    "train": "lmlab.training.loop",
    "TrainState": "lmlab.training.state",
    "TrainingRun": "lmlab.training.run",
    "CopyTrial": "lmlab.training.copying",
    "terminal": "lmlab.training.other_process",
    "new_run_folder": "lmlab.user_folder",
    "next_token": "lmlab.training.objectives",
    "masked_token": "lmlab.training.objectives",
    "bradley_terry": "lmlab.training.preference_objectives",
    "dpo": "lmlab.training.preference_objectives",
    "rollouts": "lmlab.training.rollouts",
    "helpful_assistant": "lmlab.training.refusal_rounds",
    "policy_gradient": "lmlab.training.policy_objectives",
    "k1": "lmlab.training.policy_objectives",
    "k2": "lmlab.training.policy_objectives",
    "k3": "lmlab.training.policy_objectives",
    "distill": "lmlab.training.distillation",
    "DistillationTrial": "lmlab.training.distillation_study",
    "stored_distillation": "lmlab.training.distillation_study",
    # how sure one is of a score
    "wilson_interval": "lmlab.training.shares",
    # what is no word
    "patchify": "lmlab.data.any_tokens",
    "Codebook": "lmlab.data.any_tokens",
    # what else makes them work
    "calculate": "lmlab.data.tool_calls",
    "ClockTrial": "lmlab.training.clock_trial",
    "stored_scratch_pad": "lmlab.training.clock_trial",
    "converse": "lmlab.training.tool_use",
    "stored_tool_use": "lmlab.training.tool_use",
    "tool_user": "lmlab.training.tool_use",
    "pass_at_n": "lmlab.training.votes",
    "vote_of_samples": "lmlab.training.votes",
    # what it costs
    "n_words": "lmlab.systems.compute",
    "text_bytes": "lmlab.systems.compute",
    "n_sheets": "lmlab.systems.compute",
    "stack_km": "lmlab.systems.compute",
    "typing_years": "lmlab.systems.compute",
    "training_flops": "lmlab.systems.compute",
    "gpu_days": "lmlab.systems.compute",
    "rental_usd": "lmlab.systems.compute",
    "utilization": "lmlab.systems.compute",
    "naive_attention": "lmlab.systems.fusion",
    "naive_attention_bytes": "lmlab.systems.fusion",
    "scale_shift_gelu": "lmlab.systems.fusion",
    "tile_memory_bytes": "lmlab.systems.fusion",
    "tiled_attention": "lmlab.systems.fusion",
    "tiled_attention_bytes": "lmlab.systems.fusion",
    "GPU_ROOFS": "lmlab.systems.roofline",
    "Roof": "lmlab.systems.roofline",
    "attention_seconds": "lmlab.systems.roofline",
    "measured_roofline": "lmlab.systems.roofline",
    "placed_under": "lmlab.systems.roofline",
    "counted_flops": "lmlab.models.flops",
    "training_memory": "lmlab.systems.memory",
    "inference_memory": "lmlab.systems.memory",
    "kv_cache_bytes": "lmlab.systems.memory",
    "gpus_needed": "lmlab.systems.memory",
    "measured_memory": "lmlab.systems.measured",
    # how several processes share it
    "data_parallel": "lmlab.systems.sharding",
    "pipeline_parallel": "lmlab.systems.sharding",
    "tensor_parallel": "lmlab.systems.sharding",
    "split_product": "lmlab.systems.sharding",
    "split_mlp": "lmlab.systems.sharding",
    "simulated_step": "lmlab.systems.simulation",
    "bubble": "lmlab.systems.timeline",
    "Network": "lmlab.systems.timeline",
    "Workload": "lmlab.systems.timeline",
    # how good it will be
    "BESIROGLU": "lmlab.scaling",
    "HOFFMANN": "lmlab.scaling",
    "KAPLAN_FLOPS": "lmlab.scaling",
    "LossSurface": "lmlab.scaling",
    "PowerLaw": "lmlab.scaling",
    "bootstrap_surfaces": "lmlab.scaling",
    "bootstrap_valleys": "lmlab.scaling",
    "fit_power_law": "lmlab.scaling",
    "fit_surface": "lmlab.scaling",
    "fit_valley": "lmlab.scaling",
    "interval": "lmlab.scaling",
    "around_the_best": "lmlab.training.scaling_study",
    "best_of_each_budget": "lmlab.training.scaling_study",
    "held_out_runs": "lmlab.training.scaling_study",
    "stored_sweep": "lmlab.training.scaling_study",
    # the student's side
    "check": "lmlab.exercises",
    "hint": "lmlab.exercises",
    "reveal": "lmlab.exercises",
    "progress": "lmlab.exercises",
    "doctor": "lmlab.machine_report",
    "asset": "lmlab.assets",
    "pick_device": "lmlab.devices",
}
_MODULES = ("widgets",)

__all__ = [*_HOME, *_MODULES]  # noqa: PLE0604  (all of them are strings)


def __getattr__(name: str) -> Any:
    """Import the module that holds `name`, once, and keep the value (PEP 562)."""
    if name not in __all__:
        raise AttributeError(f"lmlab has no {name!r}; dir(lmlab) lists what it has")
    importlib.import_module("lmlab.devices").leave_a_core_free()
    if name in _MODULES:
        value: Any = importlib.import_module(f"lmlab.{name}")
    else:
        value = getattr(importlib.import_module(_HOME[name]), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted({*__all__, "__version__"})
