"""What the authors published for each variant: one row each, every row from one source.

Published figures stand beside computed ones and never replace them. They differ where the authors rounded, or counted
otherwise: the paper's FLOPs for b4 and b5 are below the exact multiply-accumulates, those of Lite are 3 to 6 % above.
"""

from dataclasses import dataclass


@dataclass(frozen=True)
class Published:
    """Figures as their source prints them; None where it gives none. Accuracy is ImageNet's, in percent."""

    top1_percent: float
    top5_percent: float | None
    int8_top1_percent: float | None
    parameters: int | None
    multiply_adds: int | None  # "FLOPs" in the papers
    source: str


PAPER = "arXiv 1905.11946v1, table 2"
LITE = "tensorflow/tpu, EfficientNet-Lite README"
# Coral's model page prints other accuracies (78.9, 80.1, 81.2) for models of the same name.
EDGETPU = "tensorflow/tpu, EfficientNet-EdgeTPU README"
V2 = "google/automl, EfficientNetV2 README"
V2_21K = "google/automl, EfficientNetV2 README, from ImageNet-21k"

M, B = 10**6, 10**9

#                        top-1  top-5 int8   parameters   multiply-adds
PUBLISHED: dict[str, Published] = {
    "b0": Published(76.3, 93.2, None, 5_300_000, 390 * M, PAPER),
    "b1": Published(78.8, 94.4, None, 7_800_000, 700 * M, PAPER),
    "b2": Published(79.8, 94.9, None, 9_200_000, 1_000 * M, PAPER),
    "b3": Published(81.1, 95.5, None, 12 * M, 1_800 * M, PAPER),
    "b4": Published(82.6, 96.3, None, 19 * M, 4_200 * M, PAPER),
    "b5": Published(83.3, 96.7, None, 30 * M, 9_900 * M, PAPER),
    "b6": Published(84.0, 96.9, None, 43 * M, 19 * B, PAPER),
    "b7": Published(84.4, 97.1, None, 66 * M, 37 * B, PAPER),
    "lite0": Published(75.1, None, 74.4, 4_700_000, 407 * M, LITE),
    "lite1": Published(76.7, None, 75.9, 5_400_000, 631 * M, LITE),
    "lite2": Published(77.6, None, 77.0, 6_100_000, 899 * M, LITE),
    "lite3": Published(79.8, None, 79.0, 8_200_000, 1_440 * M, LITE),
    "lite4": Published(81.5, None, 80.2, 13 * M, 2_640 * M, LITE),
    "edgetpu-s": Published(77.23, None, 77.0, None, None, EDGETPU),
    "edgetpu-m": Published(78.69, None, 78.6, None, None, EDGETPU),
    "edgetpu-l": Published(80.62, None, 80.2, None, None, EDGETPU),
    "v2-b0": Published(78.7, None, None, 7_100_000, 720 * M, V2),
    "v2-b1": Published(79.8, None, None, 8_100_000, 1_200 * M, V2),
    "v2-b2": Published(80.5, None, None, 10_100_000, 1_700 * M, V2),
    "v2-b3": Published(82.1, None, None, 14_400_000, 3_000 * M, V2),
    "v2-s": Published(83.9, None, None, 21_500_000, 8_400 * M, V2),
    "v2-m": Published(85.2, None, None, 54_100_000, 24_700 * M, V2),
    "v2-l": Published(85.7, None, None, 119_500_000, 56_300 * M, V2),
    "v2-xl": Published(87.2, None, None, None, None, V2_21K),
}
