"""What a lab shows: one file a kind, one class a widget."""

from lmlab.widgets.all_sequences import AllSequences
from lmlab.widgets.any_token import AnyToken
from lmlab.widgets.attention import Attention
from lmlab.widgets.best_of_n import BestOfN
from lmlab.widgets.bits_versus_loss import BitsVersusLoss
from lmlab.widgets.block_ablation import BlockAblation
from lmlab.widgets.bpe_merges import BPEMerges
from lmlab.widgets.chain_rule import ChainRule
from lmlab.widgets.compute_reuse import ComputeReuse
from lmlab.widgets.coverage_curve import CoverageCurve
from lmlab.widgets.curation_funnel import CurationFunnel
from lmlab.widgets.distillation import Distillation
from lmlab.widgets.evaluation_error import EvaluationError
from lmlab.widgets.few_shot import FewShot
from lmlab.widgets.flops_count import FlopsCount
from lmlab.widgets.fused_attention import FusedAttention
from lmlab.widgets.generation_tree import GenerationTree
from lmlab.widgets.guessing_game import GuessingGame
from lmlab.widgets.induction_heads import InductionHeads
from lmlab.widgets.iso_flop import IsoFLOP
from lmlab.widgets.loss_mask import LossMask
from lmlab.widgets.memory_budget import MemoryBudget
from lmlab.widgets.next_token import NextToken
from lmlab.widgets.ngram_table import NGramTable
from lmlab.widgets.openness import Openness
from lmlab.widgets.page_rater import PageRater
from lmlab.widgets.parallel_plan import ParallelPlan
from lmlab.widgets.parameter_growth import ParameterGrowth
from lmlab.widgets.policy_gradient import PolicyGradient
from lmlab.widgets.policy_training import PolicyTraining
from lmlab.widgets.position_weights import PositionWeights
from lmlab.widgets.prediction import Prediction
from lmlab.widgets.preference_labels import PreferenceLabels
from lmlab.widgets.quantization_bins import QuantizationBins
from lmlab.widgets.refusal_matrix import RefusalMatrix
from lmlab.widgets.reward_model_fit import RewardModelFit
from lmlab.widgets.sampling import Sampling
from lmlab.widgets.scale_ladder import ScaleLadder
from lmlab.widgets.scaling_laws import ScalingLaws
from lmlab.widgets.shape_flow import ShapeFlow
from lmlab.widgets.shifted_labels import ShiftedLabels
from lmlab.widgets.skill_curves import SkillCurves
from lmlab.widgets.split_matrix import SplitMatrix
from lmlab.widgets.stage_comparison import StageComparison
from lmlab.widgets.task_as_text import TaskAsText
from lmlab.widgets.token_cost import TokenCost
from lmlab.widgets.token_view import TokenView
from lmlab.widgets.tool_use import ToolUse
from lmlab.widgets.training_cost import TrainingCost
from lmlab.widgets.training_monitor import TrainingMonitor
from lmlab.widgets.training_timeline import TrainingTimeline
from lmlab.widgets.two_objectives import TwoObjectives
from lmlab.widgets.verifier_reward import VerifierReward
from lmlab.widgets.weight_file import WeightFile

__all__ = [
    "AllSequences",
    "AnyToken",
    "Attention",
    "BPEMerges",
    "BestOfN",
    "BitsVersusLoss",
    "BlockAblation",
    "ChainRule",
    "ComputeReuse",
    "CoverageCurve",
    "CurationFunnel",
    "Distillation",
    "EvaluationError",
    "FewShot",
    "FlopsCount",
    "FusedAttention",
    "GenerationTree",
    "GuessingGame",
    "InductionHeads",
    "IsoFLOP",
    "LossMask",
    "MemoryBudget",
    "NGramTable",
    "NextToken",
    "Openness",
    "PageRater",
    "ParallelPlan",
    "ParameterGrowth",
    "PolicyGradient",
    "PolicyTraining",
    "PositionWeights",
    "Prediction",
    "PreferenceLabels",
    "QuantizationBins",
    "RefusalMatrix",
    "RewardModelFit",
    "Sampling",
    "ScaleLadder",
    "ScalingLaws",
    "ShapeFlow",
    "ShiftedLabels",
    "SkillCurves",
    "SplitMatrix",
    "StageComparison",
    "TaskAsText",
    "TokenCost",
    "TokenView",
    "ToolUse",
    "TrainingCost",
    "TrainingMonitor",
    "TrainingTimeline",
    "TwoObjectives",
    "VerifierReward",
    "WeightFile",
]
