"""What a lab shows: one file a kind, one class a widget."""

from lmlab.widgets.attention import Attention
from lmlab.widgets.bpe_merges import BPEMerges
from lmlab.widgets.next_token import NextToken
from lmlab.widgets.prediction import Prediction
from lmlab.widgets.quantization_bins import QuantizationBins

__all__ = ["Attention", "BPEMerges", "NextToken", "Prediction", "QuantizationBins"]
